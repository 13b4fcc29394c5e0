package agent

import (
	"time"

	"github.com/mastio-aws/mastio/shared/problem"
)

// ErrDelivery reports an unknown way of delivery.
var ErrDelivery = problem.New(400, "hygiene_invalid", "deliver takes notify or secretsmanager").
	Says("hygiene is {\"deliver\": \"notify\"} or {\"deliver\": \"secretsmanager\"}.")

// Delivery says what is done for an agent whose certificate is due.
type Delivery string

// The ways. An agent without one is one of Notify.
const (
	Notify Delivery = "notify" // its operator is notified
	// it gets a new certificate and key, as a new version of a secret of its own
	SecretsManager Delivery = "secretsmanager"
)

// ParseDelivery reads one; empty stands for Notify. It returns ErrDelivery for anything else.
func ParseDelivery(s string) (Delivery, error) {
	switch d := Delivery(s); d {
	case "":
		return Notify, nil
	case Notify, SecretsManager:
		return d, nil
	}
	return "", ErrDelivery
}

// Schedule says how old certificates become before they are due.
type Schedule struct {
	MaxAge      time.Duration
	RenewBefore time.Duration // how long before MaxAge, or before its own end, a certificate is due
}

const day = 24 * time.Hour

// Annually is the schedule of certificates that were pinned without one.
var Annually = Schedule{MaxAge: 365 * day, RenewBefore: 30 * day}

// Due is when a certificate is due. A short-lived certificate is not due before two thirds of its life are over,
// however long RenewBefore is: otherwise it would be replaced again and again.
func (s Schedule) Due(p Pin) time.Time {
	life := min(p.NotAfter.Sub(p.NotBefore), s.MaxAge)
	return p.NotBefore.Add(max(life-s.RenewBefore, life/3*2))
}

// Hygiene is the part of an agent's record that is about hygiene. Deliver, Named and Job belong to the agent. The other
// fields belong to the pin in About, and are void for any other pin.
type Hygiene struct {
	Deliver Delivery
	About   string // thumbprint of the pin
	Told    bool   // its operator was notified that it is due
	// Undelivered is the version of the agent's secret that holds the pin's certificate and key and is not the current one
	// yet. Until it is, the certificate in use has no deadline.
	Undelivered string
	Failed      int64     // runs that failed
	Later       time.Time // it is not looked at before; zero: when it is due
	Job         time.Time // when the last of an operator's jobs that has dealt with the agent began
	// Named is the fence of the swap of the Org CA about which the agent's owner was notified, whatever the pin was then;
	// zero: about none.
	Named int64
}

// Delivers reports whether hygiene makes the agent's new certificates and puts them into its secret.
func (a Agent) Delivers() bool { return a.Method == Minted && a.Hygiene.Deliver == SecretsManager }

// Concerning returns what is known about the agent's newest pin.
func (a Agent) Concerning() Hygiene {
	if p := a.Pin(); p.Thumbprint == a.Hygiene.About && p.Thumbprint != "" {
		return a.Hygiene
	}
	h := a.Hygiene
	return Hygiene{Deliver: h.Deliver, Named: h.Named, Job: h.Job, About: a.Pin().Thumbprint}
}

// Due is the time at which hygiene has work with the agent's certificate next, or, if its operator was notified, the
// certificate's end. The zero time: hygiene is not for the agent. Entry is its place in the due index.
func (a Agent) Due() (at time.Time, notified bool) {
	p := a.Pin()
	if a.Status != Active || a.Method != Minted || p.NotAfter.IsZero() {
		return time.Time{}, false
	}
	switch h := a.Concerning(); {
	case h.Told:
		return p.NotAfter, true
	case !h.Later.IsZero():
		return earlier(p.lastLook(), h.Later), false
	}
	return p.DueAt(), false
}

// lastLook is the latest instant at which hygiene retries an agent that was put off, whatever clock put it off: early
// enough before the certificate's end for a delivery to help.
func (p Pin) lastLook() time.Time { return p.NotAfter.Add(-LastLook) }

// LastLook is how long before its certificate's end an agent is looked at by every run, however often that has failed.
const LastLook = 8 * day

// DueAt is when the pin's certificate is due to be replaced, by the agent, the operator or hygiene.
func (p Pin) DueAt() time.Time {
	if p.Due.IsZero() {
		return Annually.Due(p)
	}
	return p.Due
}

// Delivered returns the agent whose successor was delivered: only now the grace of the certificate before it begins.
func (a Agent) Delivered(grace time.Duration, now time.Time) Agent {
	pins := make([]Pin, len(a.Pins))
	for i, p := range a.Pins {
		if p.Yields {
			p.Until = earlier(p.Until, now.Add(grace))
		}
		pins[i] = p
	}
	a.Hygiene = a.Concerning()
	a.Hygiene.Undelivered, a.Hygiene.Failed, a.Hygiene.Later = "", 0, time.Time{}
	a.Pins, a.UpdatedAt = pins, now
	return a
}
