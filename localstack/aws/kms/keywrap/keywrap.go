// Package keywrap implements AES key wrap with padding (RFC 5649), the inner layer of RSA_AES_KEY_WRAP. Key material
// travels to a KMS in this form.
package keywrap

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrUnwrap says that a wrapped key was not made under this key, or not made right. Which of the two
// checks failed stays hidden: the difference is an oracle.
var ErrUnwrap = errors.New("wrapped key does not open")

// semiblock is the unit that RFC 3394 shuffles, in octets.
const semiblock = 8

// rounds is how often every semiblock passes through the cipher (RFC 3394 section 2.2.1).
const rounds = 6

// prefix is the constant half of the alternative initial value (RFC 5649 section 3); the other half is
// the plaintext's length.
var prefix = [4]byte{0xA6, 0x59, 0x59, 0xA6}

// Wrap encrypts plaintext (1 to 2^32-1 octets) under kek, an AES key of 16, 24 or 32 octets. The result
// is a multiple of 8 octets, and 8 to 15 longer than the plaintext.
func Wrap(kek, plaintext []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	if len(plaintext) == 0 || uint64(len(plaintext)) > 1<<32-1 {
		return nil, fmt.Errorf("wrap: %d octets cannot be wrapped", len(plaintext))
	}
	padded := (len(plaintext) + semiblock - 1) / semiblock * semiblock
	out := make([]byte, semiblock+padded)
	copy(out, prefix[:])
	binary.BigEndian.PutUint32(out[len(prefix):], uint32(len(plaintext)))
	copy(out[semiblock:], plaintext)
	if padded == semiblock {
		// RFC 5649 section 4.1: one semiblock is a single ECB block, without the shuffle.
		block.Encrypt(out, out)
		return out, nil
	}
	shuffle(block, out)
	return out, nil
}

// Unwrap is the inverse of Wrap. Whatever is wrong with wrapped is [ErrUnwrap].
func Unwrap(kek, wrapped []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	if len(wrapped) < 2*semiblock || len(wrapped)%semiblock != 0 {
		return nil, ErrUnwrap
	}
	out := bytes.Clone(wrapped)
	if len(out) == 2*semiblock {
		block.Decrypt(out, out)
	} else {
		unshuffle(block, out)
	}
	return unpad(out)
}

// unpad checks the initial value and the zero padding (RFC 5649 section 3) and returns what is between.
func unpad(opened []byte) ([]byte, error) {
	length := uint64(binary.BigEndian.Uint32(opened[len(prefix):semiblock]))
	body := opened[semiblock:]
	capacity := uint64(len(body))
	if subtle.ConstantTimeCompare(opened[:len(prefix)], prefix[:]) != 1 ||
		length > capacity || length+semiblock <= capacity {
		return nil, ErrUnwrap
	}
	var stray byte
	for _, b := range body[length:] {
		stray |= b
	}
	if stray != 0 {
		return nil, ErrUnwrap
	}
	return body[:length], nil
}

// shuffle is the wrapping process of RFC 3394 section 2.2.1 in its index form, in place: data is the
// initial value followed by at least two semiblocks.
func shuffle(block cipher.Block, data []byte) {
	n := len(data)/semiblock - 1
	var buf [2 * semiblock]byte
	copy(buf[:], data[:semiblock])
	for t := range uint64(rounds * n) {
		r := data[semiblock*(int(t)%n+1):][:semiblock]
		copy(buf[semiblock:], r)
		block.Encrypt(buf[:], buf[:])
		count(&buf, t+1)
		copy(r, buf[semiblock:])
	}
	copy(data, buf[:semiblock])
}

// unshuffle is the inverse (RFC 3394 section 2.2.2).
func unshuffle(block cipher.Block, data []byte) {
	n := len(data)/semiblock - 1
	var buf [2 * semiblock]byte
	copy(buf[:], data[:semiblock])
	for t := uint64(rounds * n); t > 0; t-- {
		r := data[semiblock*(int(t-1)%n+1):][:semiblock]
		copy(buf[semiblock:], r)
		count(&buf, t)
		block.Decrypt(buf[:], buf[:])
		copy(r, buf[semiblock:])
	}
	copy(data, buf[:semiblock])
}

// count mixes the step number into the integrity half.
func count(buf *[2 * semiblock]byte, t uint64) {
	a := binary.BigEndian.Uint64(buf[:semiblock])
	binary.BigEndian.PutUint64(buf[:semiblock], a^t)
}
