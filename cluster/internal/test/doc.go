// Package test holds the tests of packages cluster and embedded that need a broker.
// They are a module of their own, so that neither's users have the broker's or the
// tests' dependencies in their go.sum.
package test
