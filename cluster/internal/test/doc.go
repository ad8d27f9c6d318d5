// Package test contains the tests of packages cluster and embedded that need a broker.
// They are a module of their own, so that the dependencies of the broker and the tests
// do not enter the go.sum of the packages' users.
package test
