module github.com/sessionwheel/sessionwheel/proxyproto

go 1.26.0

require (
	github.com/pires/go-proxyproto v0.12.0
	github.com/sessionwheel/sessionwheel v0.0.0
	github.com/stretchr/testify v1.11.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/RussellLuo/timingwheel v0.0.0-20220218152713-54845bda3108 // indirect
	github.com/davecgh/go-spew v1.1.1 // indirect
	github.com/pmezard/go-difflib v1.0.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)

replace github.com/sessionwheel/sessionwheel => ../
