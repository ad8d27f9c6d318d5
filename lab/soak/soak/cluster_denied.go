//go:build !nocluster

package soak

import (
	"context"
)

// denyNodes changes the broker's password, which ends the nodes' connections, and changes it
// back.
func denyNodes(ctx context.Context, f *fleet) error {
	if err := f.setPassword(f.plan.password + " no more"); err != nil {
		return err
	}
	if _, err := f.noticed(ctx, f.began, saysUnconnected, f.nodes...); err != nil {
		return err
	}
	if !f.r.short {
		if err := pause(ctx, f.r.between(0, f.lease()*3/2)); err != nil {
			return err
		}
	}
	if err := f.setPassword(f.plan.password); err != nil {
		return err
	}
	lost := 0
	for _, m := range f.nodes {
		at, err := f.logged(m, f.began, saysLeaseLost)
		if err != nil {
			return err
		}
		if !at.IsZero() {
			lost++
		}
	}
	f.r.tell("the password was another one for %v; %d of %d nodes lost their leases", ago(f.began), lost, len(f.nodes))
	return f.recovered(ctx)
}

// setPassword sets the broker's password. The nodes keep the one that they have.
func (f *fleet) setPassword(password string) error {
	return f.brokers.child[0].ask(brokerStep{Password: password}, &brokerHello{})
}
