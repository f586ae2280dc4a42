package protocol

// Head starts every reply of the HTTP API (wire.md 3). Replies embed it.
type Head struct {
	ApiCode    Code   `doc:"0 is success; the other codes are listed with each call" example:"0"` //nolint:revive // the wire's spelling
	ApiMessage string `doc:"\"Successed\", or what went wrong, in the caller's language"`         //nolint:revive // the wire's spelling
	RetryAfter int    `json:",omitempty" doc:"seconds to wait before the next try, only with code 1300"`
}

// ReplyHead lets the code that writes replies fill in the head.
func (h *Head) ReplyHead() *Head { return h }

// HeadReply is the reply of calls that answer nothing but the head.
type HeadReply struct{ Head }

// NoRequest is the request of calls that take no parameters.
type NoRequest struct{}

// UserRequest names a user.
type UserRequest struct {
	UserID int64 `json:"UserId" required:"true" doc:"a user's id" example:"10001"`
}
