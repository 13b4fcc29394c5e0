package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"time"
)

// cryptoFloors is the CPU time of the operations that everything else is made of.
type cryptoFloors struct{ sign, verify, generate time.Duration }

// cryptoFloors measures once.
func (b *bench) cryptoFloors() cryptoFloors {
	if b.crypto != nil {
		return *b.crypto
	}
	b.say("P-256 by itself")
	// None of these fails with a key that it made itself.
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	digest := sha256.Sum256([]byte("mastio"))
	sig, _ := ecdsa.SignASN1(rand.Reader, key, digest[:])
	b.crypto = &cryptoFloors{
		sign:     cpuEach(func() { ecdsa.SignASN1(rand.Reader, key, digest[:]) }),
		verify:   cpuEach(func() { ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) }),
		generate: cpuEach(func() { ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }),
	}
	return *b.crypto
}

// cpuEach is the CPU time that f takes on average, over half a second of it.
func cpuEach(f func()) time.Duration {
	const enough = 500 * time.Millisecond
	for range 100 {
		f()
	}
	began, n := ownCPU(), 0
	for ; ownCPU()-began < enough; n += 100 {
		for range 100 {
			f()
		}
	}
	return (ownCPU() - began) / time.Duration(n)
}
