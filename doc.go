// Package sessionwheel is the map of the house: a session manager for custom
// protocol servers. It holds no code. Each session has a timer in a hierarchical
// timing wheel, every activity re-arms it, and a session whose timer expires
// leaves the pool and is closed with the reason "Timeout". Nothing ever walks
// over all sessions.
//
//   - [github.com/sessionwheel/sessionwheel/wheel] keeps timers: arm, extend,
//     stop.
//
//   - [github.com/sessionwheel/sessionwheel/pool] keeps sessions on a wheel, with
//     connections of any kind: register, touch, close. A server with a transport
//     of its own begins here.
//
//   - [github.com/sessionwheel/sessionwheel/tcp] is a TCP server over a pool:
//     framing, callbacks, limits, shutdown.
//
//   - [github.com/sessionwheel/sessionwheel/udp] is a UDP server over a pool: a
//     session for each address, ended by silence.
//
//   - [github.com/sessionwheel/sessionwheel/dashboard] is a page that shows one of
//     them live.
//
// Imports run one way, wheel <- pool <- tcp and udp <- dashboard, and reach
// github.com/RussellLuo/timingwheel and the standard library, nothing else. What
// needs more is a module of its own beneath this one: metrics shows the same to
// Prometheus, cluster knows who owns a session among several nodes, proxyproto
// reads a proxy's header, cmd/sessionwheel is the program, bench compares with
// others, examples are servers to copy, tools pins the linters.
//
// The contracts of the packages are tested here, from outside.
package sessionwheel
