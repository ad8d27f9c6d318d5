module github.com/sessionwheel/sessionwheel/dashboard/browser

go 1.26.0

require (
	github.com/chromedp/cdproto v0.0.0-20250724212937-08a3db8b4327
	github.com/chromedp/chromedp v0.14.2
	github.com/sessionwheel/sessionwheel v0.0.0
	github.com/stretchr/testify v1.11.1
	go.uber.org/goleak v1.3.0
)

replace github.com/sessionwheel/sessionwheel => ../..
