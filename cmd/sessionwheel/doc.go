// Command sessionwheel shows the session manager at work and puts it to use.
//
//	sessionwheel         the demo: a server, two thousand clients, and a verdict
//	sessionwheel serve   an echo server that closes idle sessions with "Timeout"
//	sessionwheel load    a load generator against such a server
//	sessionwheel top     a live view of a server that runs with --http
//	sessionwheel cluster the sessions of several servers: list, find, kick, send, watch
//	sessionwheel bench   the same work done with this project and with its rivals
//	sessionwheel soak    a search for broken guarantees under faults of every kind
//	sessionwheel version
//
// This program holds demo, serve, load and version. For the other commands, and for
// --cluster, --nodes and --metrics, it starts programs that depend on more: the one
// beside it, the one in PATH, or one that it builds from the checkout.
//
// Exit status: 0 is success. 1 is an error; after demo, load and soak also a bad
// verdict, and after cluster that there is no such session. 2 is wrong usage. 128 and
// the signal's number is a signal, but the first one lets serve drain and exit with 0.
package main
