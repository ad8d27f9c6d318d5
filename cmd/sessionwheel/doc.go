// Command sessionwheel shows the session manager at work and puts it to use.
//
//	sessionwheel         the demo: a server, two thousand clients, and a verdict
//	sessionwheel serve   an echo server that closes idle sessions with "Timeout"
//	sessionwheel load    a load generator against such a server
//	sessionwheel top     a live view of a server that runs with --http
//	sessionwheel cluster the sessions of several servers: list, find, kick, send, watch
//	sessionwheel bench   the same work done with this project and with its rivals
//	sessionwheel soak    a search for broken guarantees under faults of every kind
//
// Exit status: 0 is success; 1 an error or, after demo, load and soak, a failed
// verdict, or after cluster no such session; 2 wrong usage; 128 and the signal's number when a signal cut it
// short, except that the first one lets serve drain.
package main
