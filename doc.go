// Package sessionwheel is the root of a session manager for custom protocol
// servers. A server registers a session for each connection and touches it
// whenever something happens there. A session that stays idle for too long is
// removed and closed with the reason "Timeout". Each session has a timer in a
// hierarchical timing wheel, so no sweep over all sessions ever runs.
//
// This package holds no code. The packages of the module are:
//
//   - [github.com/sessionwheel/sessionwheel/tcp]: a TCP server with framing,
//     callbacks, limits, TLS and a graceful shutdown. Start here if your protocol
//     runs over TCP.
//
//   - [github.com/sessionwheel/sessionwheel/frame]: the usual framings for tcp:
//     length prefix, varint, delimiter, fixed size, marks.
//
//   - [github.com/sessionwheel/sessionwheel/udp]: a UDP server with one session
//     for each address.
//
//   - [github.com/sessionwheel/sessionwheel/pool]: sessions alone, for servers
//     that accept and read connections themselves.
//
//   - [github.com/sessionwheel/sessionwheel/wheel]: timers alone.
//
//   - [github.com/sessionwheel/sessionwheel/dashboard]: a web page that shows a
//     server live.
//
// The packages import one another in one direction only: wheel <- pool <- tcp and
// udp <- dashboard. Beyond the standard library they import
// github.com/RussellLuo/timingwheel and nothing else. Package frame imports the
// standard library alone.
//
// Everything that needs more is a nested module with its own go.mod: metrics for
// Prometheus and OpenTelemetry, cluster for sessions on several nodes, proxyproto
// for servers behind a proxy, cmd/sessionwheel for the program, examples for
// servers to copy, and lab for benchmarks and the soak test.
//
// In this directory, wheel_test.go and pool_test.go show the contracts of the two
// basic packages, and sweep_test.go compares them with a sweep over all sessions.
// The other tests of these packages are in test, which has a directory for each.
package sessionwheel
