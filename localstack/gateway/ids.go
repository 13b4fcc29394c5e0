package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"hash/fnv"
	"net/http"
	"strconv"
	"time"
)

// ids are the names of one request.
type ids struct {
	request  string // UUID
	extended string // what x-amz-apigw-id says
	trace    [12]byte
}

func newIDs() ids {
	var b [39]byte
	_, _ = rand.Read(b[:]) // never returns an error
	return ids{
		request:  uuid([16]byte(b[:16])),
		extended: base64.StdEncoding.EncodeToString(b[16:27]),
		trace:    [12]byte(b[27:]),
	}
}

// The headers that give a client the ids of its request, in canonical form.
const (
	headerRequestID  = "X-Amzn-Requestid"
	headerExtendedID = "X-Amz-Apigw-Id"
)

// mark puts the names into an answer.
func (i ids) mark(h http.Header) {
	h.Set(headerRequestID, i.request)
	h.Set(headerExtendedID, i.extended)
}

// traceHeader returns the X-Ray header that the edge adds.
func (i ids) traceHeader(at time.Time) string {
	return "Root=1-" + strconv.FormatInt(at.Unix(), 16) + "-" + hex.EncodeToString(i.trace[:])
}

// uuid makes a random UUID (RFC 9562 section 5.4) of random octets.
func uuid(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := make([]byte, 0, 36)
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, part)
	}
	return string(text)
}

// resourceID returns six characters that name a resource path, the same in every run.
func resourceID(path string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(path)) // a hash never fails
	id := strconv.FormatUint(h.Sum64(), 36)
	return ("000000" + id)[len(id):]
}
