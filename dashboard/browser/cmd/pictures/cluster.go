package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/dashboard/browser"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// fakeCluster returns a cluster of three nodes and a few dozen sessions.
func fakeCluster() *browser.FakeCluster {
	names := []string{"node-1", "node-2", "node-3"}
	since := time.Now().Add(-40 * time.Minute)
	var sessions []dashboard.ClusterSession
	for i := range 42 {
		sessions = append(sessions, dashboard.ClusterSession{
			ID: fmt.Sprintf("player-%d", 1009+13*i), Node: names[i*i/2%3],
			Since: since.Add(time.Duration(i*i) * time.Second), Metadata: fmt.Appendf(nil, "10.0.%d.%d:%d", i%3, 20+i, 50_000+37*i),
		})
	}
	incarnations := []string{"2W7XH3MZ0PLRB", "0A9S8D7F6G5H4", "KQ5DT6YBN1VCE"}
	var nodes []dashboard.ClusterNode
	for i, name := range names {
		n := dashboard.ClusterNode{Name: name, Incarnation: name + "_" + incarnations[i], This: i == 0}
		for _, s := range sessions {
			if s.Node == name {
				n.Sessions++
			}
		}
		nodes = append(nodes, n)
	}
	return browser.NewFakeCluster(nodes, sessions)
}

// shootCluster writes a picture of a page's cluster, after a search.
func shootCluster(b *browser.Browser, dark bool, path string) (err error) {
	d, err := browser.ServePage(dashboard.Config{
		Source: dashboard.Server(new(tcp.Server)), Cluster: fakeCluster(),
		Authorize: func(*http.Request) error { return nil },
	}, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	tab, err := b.Open(browser.Screen{Width: 1240, Height: 1600, Scale: 1.5, Dark: dark}, 5*time.Minute)
	if err != nil {
		return err
	}
	defer tab.Close()
	var at []float64 // left, top, width and height of the section
	err = tab.Run(chromedp.Navigate(d.URL), chromedp.WaitVisible("#nodes tr", chromedp.ByQuery),
		chromedp.SendKeys(`#seek [name="q"]`, "player-10\r", chromedp.ByQuery), chromedp.WaitVisible("#found-rows tr", chromedp.ByQuery),
		chromedp.Evaluate(`((r) => [r.x - 16, r.y - 16, r.width + 32, r.height + 32])(document.getElementById("cluster").getBoundingClientRect())`, &at))
	if err != nil {
		return err
	}
	if err := shootPart(tab, page.Viewport{X: at[0], Y: at[1], Width: at[2], Height: at[3], Scale: 1}, path); err != nil {
		return err
	}
	fmt.Println("wrote", path)
	return nil
}
