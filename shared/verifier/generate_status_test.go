package verifier

import (
	"strings"
)

func (m maker) statusCases() []vectorCase {
	token := m.bearer(m.token(m.claims()))
	x5t := thumbprint(m.cert)
	iat := func(after int64) any { return now.Unix() + after }
	dead := func(entries ...any) []any { return entries }
	by := func(name, value string, after int64) members {
		return members{name: value, "not_before": now.Unix() + after}
	}
	raw := func(head, body string, key testKey) vectorStep {
		text := m.jws(head, body, key)
		return vectorStep{Status: &text, Want: "status_invalid"}
	}
	plainText := m.status().text()
	entry := func(e string) vectorStep {
		return raw(statusHead, strings.Replace(plainText, `"dead":[]`, `"dead":[`+e+`]`, 1), m.day)
	}
	tokenText := m.token(m.claims())
	long := m.token(m.claims().but("iat", now.Unix()-10, "exp", now.Unix()+7200))
	one := func(name string, steps ...vectorStep) vectorCase { return vectorCase{Name: name, Steps: steps} }
	cases := []vectorCase{
		one("none was learnt", ask(0, "status_stale", token)),
		one("fresh", m.alive(), ask(0, "ok", token), ask(29, "ok", token)),
		one("stale", m.alive(), ask(30, "status_stale", token)),
		one("withheld, and there again", m.alive(), ask(29, "ok", token), ask(31, "status_stale", token),
			m.learn(40, "ok", m.status().but("iat", iat(40))), ask(40, "ok", token)),
		one("an old one again", m.alive(), m.learn(40, "ok", m.status()), ask(40, "status_stale", token)),
		within(300, "stale by the document's own max_age", m.learn(0, "ok", m.status().but("max_age", 10)),
			ask(9, "ok", token), ask(10, "status_stale", token)),
		within(300, "max_stale of 300 s", m.alive(), ask(299, "ok", token)),
		within(5, "max_stale of 5 s", m.alive(), ask(4, "ok", token), ask(5, "status_stale", token)),
		one("of a clock that is ahead, stale since it was fetched", m.learn(0, "ok", m.status().but("iat", iat(5))),
			ask(29, "ok", token), ask(30, "status_stale", token)),
		one("of the future", m.learn(0, "status_ahead", m.status().but("iat", iat(6))), ask(0, "status_stale", token)),
		one("a bad one changes nothing", m.alive(), raw(statusHead, plainText, m.other), ask(0, "ok", token)),
		one("rolled back", m.alive(), m.learn(5, "status_rolled_back", m.status().but("seq", 99, "iat", iat(5))),
			ask(5, "ok", token),
			ask(30, "status_stale", token)),
		one("rolled back for ever", m.alive(), m.learn(5, "status_rolled_back", m.status().but("seq", 99, "iat", iat(5))),
			m.learn(31, "status_rolled_back", m.status().but("seq", 99, "iat", iat(31))), ask(31, "status_stale", token)),
		one("forked", m.alive(), m.learn(5, "status_forked", m.status().but("generations", []int{4}, "iat", iat(5))),
			ask(5, "ok", token)),
		one("forked, in an entry", m.alive(),
			m.learn(5, "status_forked", m.status().but("dead", dead(by("handle", "x", 0)), "iat", iat(5)))),
		one("the same again, later", m.alive(), m.learn(25, "ok", m.status().but("iat", iat(25))), ask(50, "ok", token)),
		one("the same in another order",
			m.learn(0, "ok", m.status().but("dead", dead(by("handle", "x", 0), by("handle", "y", 0)))),
			m.learn(1, "ok",
				m.status().but("generations", []int{5, 4}, "dead", dead(by("handle", "y", 0), by("handle", "x", 0)), "iat",
					iat(1)))),
		one("older", m.learn(5, "ok", m.status().but("iat", iat(5))), m.learn(6, "status_older", m.status()),
			ask(33, "ok", token)),
		one("older, of a higher seq", m.learn(5, "ok", m.status().but("iat", iat(5))),
			m.learn(6, "status_older", m.status().but("seq", 101))),
		one("of another issuer", m.learn(0, "status_of_another_issuer", m.status().but("iss", "https://other.example")),
			ask(0, "status_stale", token)),
		one("dead by thumbprint", m.learn(0, "ok", m.status().but("dead", dead(by("x5t#S256", x5t, 1)))),
			ask(0, "access_token_revoked", token)),
		one("issued after the thumbprint's date", m.learn(0, "ok", m.status().but("dead", dead(by("x5t#S256", x5t, 0)))),
			ask(0, "ok", token)),
		one("another thumbprint is dead",
			m.learn(0, "ok", m.status().but("dead", dead(by("x5t#S256", thumbprint(m.elsewhere), 9)))), ask(0, "ok", token)),
		one("dead by handle", m.learn(0, "ok", m.status().but("dead", dead(by("handle", "5qPmGHHZYI_EelBV9B7KOA", 3600)))),
			ask(0, "access_token_revoked", token)),
		one("issued after the handle's date",
			m.learn(0, "ok", m.status().but("dead", dead(by("handle", "5qPmGHHZYI_EelBV9B7KOA", 0)))), ask(0, "ok", token)),
		one("another handle is dead", m.learn(0, "ok", m.status().but("dead", dead(by("handle", "x", 9)))),
			ask(0, "ok", token)),
		one("a handle that reads as the thumbprint", m.learn(0, "ok", m.status().but("dead", dead(by("handle", x5t, 9)))),
			ask(0, "ok", token)),
		one("without a handle, not dead by one", m.learn(0, "ok", m.status().but("dead", dead(by("handle", "x", 9)))),
			ask(0, "ok", m.bearer(m.token(m.claims().but("handle", nil))))),
		one("dead by generation", m.learn(0, "ok", m.status().but("generations", []int{5})),
			ask(0, "access_token_revoked", token)),
		one("no generation is accepted", m.learn(9, "ok", m.status().but("generations", []int{}, "iat", iat(9))),
			ask(9, "access_token_revoked", token)),
		one("of a generation that is newer than the status",
			m.learn(0, "ok", m.status().but("generations", []int{2, 3})), ask(0, "status_behind", token),
			m.learn(1, "ok", m.status().but("seq", 101, "generations", []int{2, 3}, "iat", iat(1))),
			ask(1, "status_behind", token),
			m.learn(2, "ok", m.status().but("seq", 102, "iat", iat(2))), ask(2, "ok", token)),
		one("of a generation that a newer status does not name",
			m.learn(0, "ok", m.status().but("generations", []int{2, 3})), ask(0, "status_behind", token),
			m.learn(3, "ok", m.status().but("seq", 101, "generations", []int{2, 3}, "iat", iat(3))),
			ask(3, "status_behind", token),
			m.learn(4, "ok", m.status().but("seq", 102, "generations", []int{2, 3}, "iat", iat(4))),
			ask(4, "access_token_revoked", token)),
		one("newer than the status, and before the first Org CA", m.learn(0, "ok", m.status().but("generations", []int{})),
			ask(0, "status_behind", token)),
		one("of a generation between those that are accepted",
			m.learn(0, "ok", m.status().but("generations", []int{3, 5})), ask(0, "access_token_revoked", token)),
		one("of a lower generation, and newer than the status: a rollback",
			m.learn(0, "ok", m.status().but("generations", []int{5})),
			ask(1, "status_behind", m.bearer(m.token(m.claims().but("iat", now.Unix()+1)))),
			m.learn(2, "ok", m.status().but("seq", 101, "generations", []int{5}, "iat", iat(2))),
			ask(2, "access_token_revoked", m.bearer(m.token(m.claims().but("iat", now.Unix()+1)))),
			m.learn(3, "ok", m.status().but("seq", 102, "generations", []int{4}, "iat", iat(3))),
			ask(3, "ok", m.bearer(m.token(m.claims().but("iat", now.Unix()+1))))),
		one("of a newer generation, and stale", m.learn(0, "ok", m.status().but("generations", []int{2, 3})),
			ask(30, "status_stale", token)),
		one("of a newer generation, and dead by handle",
			m.learn(0, "ok", m.status().but("generations", []int{2, 3}, "dead",
				dead(by("handle", "5qPmGHHZYI_EelBV9B7KOA", 3600)))),
			ask(0, "access_token_revoked", token)),
		one("of no generation", m.learn(0, "ok", m.status().but("generations", []int{})),
			ask(0, "ok", m.bearer(m.token(m.claims().but("generation", 0))))),
		one("a generation that is accepted again", m.learn(0, "ok", m.status().but("generations", []int{5})),
			ask(0, "access_token_revoked", token),
			m.learn(1, "ok", m.status().but("seq", 101, "iat", iat(1))), ask(1, "ok", token)),
		one("dead by not_before", m.learn(0, "ok", m.status().but("not_before", iat(1))),
			ask(0, "access_token_revoked", token)),
		one("issued at not_before", m.learn(0, "ok", m.status().but("not_before", iat(0))), ask(0, "ok", token)),
		one("not_before that is gone still counts", m.learn(0, "ok", m.status().but("not_before", iat(1))),
			m.learn(1, "ok", m.status().but("seq", 101, "iat", iat(1))), ask(1, "access_token_revoked", token)),
		one("two entries of one name: the later counts",
			m.learn(0, "ok", m.status().but("dead", dead(by("x5t#S256", x5t, 5), by("x5t#S256", x5t, -5)))),
			ask(0, "access_token_revoked", token)),
		one("dead by a document that is rolled back", m.alive(), m.learn(1, "status_rolled_back",
			m.status().but("seq", 99, "dead", dead(by("x5t#S256", x5t, 1)))), ask(1, "access_token_revoked", token)),
		one("dead by a document that is forked", m.alive(), m.learn(1, "status_forked",
			m.status().but("dead", dead(by("x5t#S256", x5t, 1)))), ask(1, "access_token_revoked", token)),
		one("not dead by a document of another issuer", m.alive(), m.learn(1, "status_of_another_issuer",
			m.status().but("iss", "https://other.example", "dead", dead(by("x5t#S256", x5t, 1)))), ask(1, "ok", token)),
		one("dead once, dead until no token can be valid",
			m.learn(0, "ok", m.status().but("dead", dead(by("x5t#S256", x5t, 0)))),
			m.learn(3600, "ok", m.status().but("seq", 101, "iat", iat(3600))),
			ask(3600, "access_token_revoked", m.bearer(long)),
			m.learn(3606, "ok", m.status().but("seq", 101, "iat", iat(3606))), ask(3606, "ok", m.bearer(long))),
	}
	for _, c := range []struct {
		name string
		step vectorStep
	}{
		{"unsigned", raw(`{"alg":"none","kid":"day","typ":"mastio-status+jwt"}`, plainText, m.day)},
		{"by another key", raw(statusHead, plainText, m.other)},
		{"by a key that it brings",
			raw(`{"alg":"ES256","kid":"day","typ":"mastio-status+jwt","jwk":`+m.jwk(m.other).text()+`}`, plainText, m.other)},
		{"of an unknown kid", raw(`{"alg":"ES256","kid":"night","typ":"mastio-status+jwt"}`, plainText, m.day)},
		{"without kid", raw(`{"alg":"ES256","typ":"mastio-status+jwt"}`, plainText, m.day)},
		{"typ of a token", raw(tokenHead, plainText, m.day)},
		{"a token", vectorStep{Status: &tokenText, Want: "status_invalid"}},
		{"a member twice", raw(statusHead, strings.Replace(plainText, `"seq":100`, `"seq":100,"seq":101`, 1), m.day)},
		{"no iss", raw(statusHead, m.status().but("iss", nil).text(), m.day)},
		{"no iat", raw(statusHead, m.status().but("iat", nil).text(), m.day)},
		{"no seq", raw(statusHead, m.status().but("seq", nil).text(), m.day)},
		{"seq 0", raw(statusHead, m.status().but("seq", 0).text(), m.day)},
		{"seq fraction", raw(statusHead, m.status().but("seq", 100.5).text(), m.day)},
		{"no max_age", raw(statusHead, m.status().but("max_age", nil).text(), m.day)},
		{"max_age 0", raw(statusHead, m.status().but("max_age", 0).text(), m.day)},
		{"max_age of a day", raw(statusHead, m.status().but("max_age", 86400).text(), m.day)},
		{"no generations", raw(statusHead, m.status().but("generations", nil).text(), m.day)},
		{"generations text", raw(statusHead, m.status().but("generations", []string{"4"}).text(), m.day)},
		{"generations null", raw(statusHead, strings.Replace(plainText, `[4,5]`, `null`, 1), m.day)},
		{"no dead", raw(statusHead, m.status().but("dead", nil).text(), m.day)},
		{"dead an object", raw(statusHead, m.status().but("dead", members{}).text(), m.day)},
		{"not_before text", raw(statusHead, m.status().but("not_before", "1").text(), m.day)},
		{"an entry null", entry(`null`)},
		{"an entry without name", entry(`{"not_before":1800000000}`)},
		{"an entry of two names", entry(`{"handle":"a","x5t#S256":"b","not_before":1800000000}`)},
		{"an entry without date", entry(`{"handle":"a"}`)},
		{"an entry with a text as date", entry(`{"handle":"a","not_before":"1800000000"}`)},
		{"an entry with a member twice", entry(`{"handle":"a","handle":"b","not_before":1800000000}`)},
	} {
		cases = append(cases, one("refused: "+c.name, c.step, ask(0, "status_stale", token)))
	}
	return cases
}
