package protocol

// LiveMineReply answers GET /live/mine.
type LiveMineReply struct {
	Head
	RoomID string `json:"RoomId"`
	Title  string
	Cover  string `doc:"as it was given; empty for none"`
	Closed bool   `doc:"it is there for nobody until /live/create opens it again"`
	Slow   int    `doc:"seconds between two messages of one person; 0 off"`
}
