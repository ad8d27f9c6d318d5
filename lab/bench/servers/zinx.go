package servers

import (
	"encoding/binary"
	"time"

	"github.com/aceld/zinx/zconf"
	"github.com/aceld/zinx/ziface"
	"github.com/aceld/zinx/zlog"
	"github.com/aceld/zinx/znet"
)

func zinxImpl() Impl {
	return Impl{
		Name:    "zinx",
		Module:  "github.com/aceld/zinx v1.2.6",
		How:     "a length field decoder, 10 workers (its default), slices of handlers, pooled requests, reads of 4 KiB, logging off; the handler calls Send with the frame",
		Timeout: "its heartbeat checker, each minute, without messages",
		Start:   startZinx,
		NoTLS:   "its TLS is crypto/tls beneath its goroutines: see net",
	}
}

const zinxMsgID = 1

// zinxFrames describes the frames to zinx, and sends all to one handler.
type zinxFrames struct{}

func (zinxFrames) GetLengthField() *ziface.LengthField {
	return &ziface.LengthField{
		Order:             binary.BigEndian,
		MaxFrameLength:    maxFrame,
		LengthFieldOffset: 1,
		LengthFieldLength: 2,
		LengthAdjustment:  1, // the '#'
	}
}

func (zinxFrames) Intercept(chain ziface.IChain) ziface.IcResp {
	m := chain.GetIMessage()
	if m != nil {
		m.SetMsgID(zinxMsgID)
	}
	return chain.ProceedWithIMessage(m, nil)
}

func startZinx() (string, func(), error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	zlog.SetLogger(discardLogger{})
	s := znet.NewUserConfServer(&zconf.Config{
		Host: "127.0.0.1", TCPPort: port, Mode: zconf.ServerModeTcp,
		MaxConn: 1 << 20, MaxPacketSize: maxFrame, IOReadBuffSize: 4096,
		RouterSlicesMode: true, RequestPoolMode: true,
		HeartbeatMax: int(idleTimeout / time.Second),
	})
	s.SetDecoder(zinxFrames{})
	s.AddRouterSlices(zinxMsgID, func(r ziface.IRequest) {
		_ = r.GetConnection().Send(r.GetData()) // the next read reports a broken connection
	})
	s.StartHeartBeatWithOption(time.Minute, &ziface.HeartBeatOption{})
	s.GetHeartBeat().SetHeartbeatFunc(func(ziface.IConnection) error { return nil })
	s.Start()
	addr, err := waitForServer(port)
	return addr, s.Stop, err
}
