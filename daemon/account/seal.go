package account

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// sealer encrypts second-factor secrets, so that a copy of the database without
// DIR/secrets does not hold them. The account's id is bound in: a sealed secret
// is worth nothing in another row.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (*sealer, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("seal key has %d bytes, want 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead}, nil
}

func (s *sealer) seal(account int64, secret string) []byte {
	return s.aead.Seal(nil, nil, []byte(secret), binary.BigEndian.AppendUint64(nil, uint64(account))) //nolint:gosec // ids are positive
}

func (s *sealer) open(account int64, sealed []byte) (string, error) {
	b, err := s.aead.Open(nil, nil, sealed, binary.BigEndian.AppendUint64(nil, uint64(account))) //nolint:gosec // ids are positive
	if err != nil {
		return "", errors.New("second-factor secret cannot be opened: the key in DIR/secrets is another one")
	}
	return string(b), nil
}

// randomBytes is n bytes nobody can guess.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) //nolint:errcheck // never fails since Go 1.24
	return b
}
