package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
)

// overTLS returns an Impl.StartTLS that calls start.
func overTLS(start func(*tls.Config) (string, func(), error)) func() (string, func(), error) {
	return func() (string, func(), error) {
		cert, err := selfSigned()
		if err != nil {
			return "", nil, fmt.Errorf("servers: %w", err)
		}
		return start(&tls.Config{Certificates: []tls.Certificate{cert}})
	}
}

// selfSigned makes a certificate that no client trusts.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
