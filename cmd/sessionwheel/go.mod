module github.com/sessionwheel/sessionwheel/cmd/sessionwheel

go 1.26.0

require (
	github.com/HdrHistogram/hdrhistogram-go v1.2.0
	github.com/sessionwheel/sessionwheel v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/RussellLuo/timingwheel v0.0.0-20220218152713-54845bda3108 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)
