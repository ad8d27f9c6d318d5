module github.com/sessionwheel/sessionwheel/cluster

go 1.26.0

require (
	github.com/nats-io/nats.go v1.55.0
	github.com/sessionwheel/sessionwheel v0.0.0
)

require (
	github.com/RussellLuo/timingwheel v0.0.0-20220218152713-54845bda3108 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/sessionwheel/sessionwheel => ..
