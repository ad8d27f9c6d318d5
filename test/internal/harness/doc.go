// Package harness holds what the tests of several packages share: goleak around
// a package's tests, helper processes, fake time with a watchdog, servers,
// and measurements that a busy machine does not falsify.
//
// What the tests of one package alone need stays in that package's folder.
package harness
