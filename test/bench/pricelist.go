package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/usecase/status"
)

// List prices of us-east-1 as published in November 2026, in dollars, without free tiers. A million of:
const (
	priceHTTPAPI   = 1.00
	priceRESTAPI   = 3.50
	priceFirewall  = 0.60
	priceLambda    = 0.20
	priceRead      = 0.125 // DynamoDB on demand
	priceWrite     = 0.625
	priceSignature = 15.00 // KMS, ECC
	priceEvent     = 1.00  // EventBridge, of one's own
)

const (
	priceGBSecond = 0.0000133334 // Lambda, arm64
	priceLogGB    = 0.50
	memoryGB      = 0.5 // of a function
)

// How long a function runs, in milliseconds: assumed, and generous.
const (
	tokenMillis    = 15
	kmsTokenMillis = 25
	rotateMillis   = 60
	reissueMillis  = 67 // 15 a second
)

// The rows of the table.
const (
	opToken  = "tokens"
	opDPoP   = "tokens with a DPoP proof"
	opStatus = "polls of the status document"
	opAsk    = "introspections of a token"
	opRotate = "rotations of a certificate"
	opAdded  = "added" // to a rotation: the hashes of its keys, and the tokens that die
	opLate   = "late"  // rotations that move their entries in the due index
	opSeal   = "seal"  // a rotation's part of the next checkpoint
	opSeen   = "hours in which an agent gets tokens"
	opKey    = "first tokens with a new key"

	opReissue = "re-issues after a rotation of the Org CA"
)

// The rows of rotations that have more to do.
const (
	rowAdded = "… with the hashes of its keys and the deaths of its tokens"
	rowLate  = "… in the second half of the time until it is due"
)

// statusPoll is how often a resource server polls the status document, and statusPolls how often in a month of 30 days.
// A cache asks for every document once, for all resource servers.
const (
	statusPoll  = 2 * time.Second
	statusPolls = 30 * 24 * time.Hour / statusPoll
	cachePolls  = 30 * 24 * time.Hour / status.MaxAge
	cacheShared = 1000 // resource servers behind one cache
)

// following is what a resource server costs in a month that polls the status document: alone, and as one of many behind
// a cache.
func following(poll price) (alone, behindCache, cache float64) {
	cache = poll.total() * float64(cachePolls) / 1e6
	return poll.total() * float64(statusPolls) / 1e6, cache / cacheShared, cache
}

// price is one row: a million operations.
type price struct {
	name                            string
	api, firewall, lambda, database float64
	kms, log                        float64
	databaseText, logText           string
}

func (p price) total() float64 {
	return p.api + p.firewall + p.lambda + p.database + p.kms + p.log
}

func lambdaPrice(millis float64) float64 {
	return priceLambda + memoryGB*millis/1000*1e6*priceGBSecond
}

func priceOf(name string, u spent, api, firewall, millis float64) price {
	return price{
		name:         name,
		api:          api,
		firewall:     firewall,
		lambda:       lambdaPrice(millis),
		database:     charge(u),
		kms:          u.signatures * priceSignature,
		log:          rounded(u.logged) * 1e6 / 1e9 * priceLogGB,
		databaseText: chargeText(u),
		logText:      logText(u),
	}
}

func logText(u spent) string {
	return fmt.Sprintf("%.0f octets = %.2f", rounded(u.logged), rounded(u.logged)*1e6/1e9*priceLogGB)
}

func charge(u spent) float64 { return u.reads*priceRead + u.writes*priceWrite }

func chargeText(u spent) string { return fmt.Sprintf("%s = %.2f", countOf(u), charge(u)) }

// rounded takes octets to the nearest ten: how many digits a duration has is chance.
func rounded(octets float64) float64 { return math.Round(octets/10) * 10 }

// countOf writes units: 3 reads, 9 writes.
func countOf(u spent) string {
	var parts []string
	for _, c := range []struct {
		n    float64
		word string
	}{{u.reads, "read"}, {u.writes, "write"}} {
		if c.n == 0 {
			continue
		}
		word := c.word
		if c.n != 1 {
			word += "s"
		}
		digits := 2
		if c.n >= 10 {
			digits = 3
		}
		parts = append(parts, fmt.Sprintf("%.*g %s", digits, c.n, word))
	}
	return strings.Join(parts, ", ")
}

// prices are the rows of the table.
func prices(sold map[string]spent) []price {
	inKMS := sold[opToken]
	inKMS.signatures = 1
	plain := sold[opRotate]
	plain.reads, plain.writes = plain.reads-sold[opAdded].reads, plain.writes-sold[opAdded].writes
	return []price{
		priceOf(opToken, sold[opToken], priceHTTPAPI, 0, tokenMillis),
		priceOf(opDPoP, sold[opDPoP], priceHTTPAPI, 0, tokenMillis),
		priceOf("tokens, `tokenSigner=kms`", inKMS, priceHTTPAPI, 0, kmsTokenMillis),
		priceOf(opStatus, sold[opStatus], priceHTTPAPI, 0, tokenMillis),
		priceOf(opAsk, sold[opAsk], priceHTTPAPI, 0, tokenMillis),
		priceOf(opRotate, plain, priceRESTAPI, priceFirewall, rotateMillis),
		priceOf(rowAdded, sold[opRotate], priceRESTAPI, priceFirewall, rotateMillis),
		priceOf(rowLate, sold[opLate], priceRESTAPI, priceFirewall, rotateMillis),
		{
			name:         opReissue,
			lambda:       memoryGB * reissueMillis / 1000 * 1e6 * priceGBSecond,
			database:     charge(sold[opReissue]),
			kms:          sold[opReissue].signatures * priceSignature,
			log:          rounded(sold[opReissue].logged) * 1e6 / 1e9 * priceLogGB,
			databaseText: chargeText(sold[opReissue]),
			logText:      logText(sold[opReissue]),
		},
		{name: opSeen, database: charge(sold[opSeen]), databaseText: chargeText(sold[opSeen]), logText: "–"},
		{name: opKey, database: charge(sold[opKey]), databaseText: chargeText(sold[opKey]), logText: "–"},
	}
}

// priceTable is the table of infra/README.md.
func priceTable(sold map[string]spent) string {
	var b strings.Builder
	b.WriteString("| a million of | API Gateway | WAF | Lambda | DynamoDB | KMS | logs | together " +
		"|\n|---|---|---|---|---|---|---|---|\n")
	dash := func(v float64) string {
		if v == 0 {
			return "–"
		}
		return fmt.Sprintf("%.2f", v)
	}
	for _, p := range prices(sold) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | **$%.2f** |\n",
			p.name, dash(p.api), dash(p.firewall), dash(p.lambda), p.databaseText, dash(p.kms), p.logText, p.total())
	}
	alone, behindCache, cache := following(priceOf(opStatus, sold[opStatus], priceHTTPAPI, 0, tokenMillis))
	fmt.Fprintf(&b, "\n| a resource server that polls the status every two seconds | a month |\n|---|---|\n"+
		"| alone: %.1f million polls | **$%.2f** |\n| one of %d behind a cache, which polls once a second: $%.2f for all "+
		"| **$%.3f** |\n", float64(statusPolls)/1e6, alone, cacheShared, cache, behindCache)
	seal := sold[opSeal]
	after := charge(seal)
	fmt.Fprintf(&b, "\nAfter a million rotations: their events on the bus $%.2f, their places in the checkpoints $%.2f "+
		"(%s each).\n", priceEvent, after, countOf(seal))
	return b.String()
}
