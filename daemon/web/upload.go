package web

import (
	"io"
	"regexp"
	"strings"
	"time"

	"gtiv/daemon/video"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
	"gtiv/store"
)

// uploadDeadline is what storing an upload may take once all of it is there: it
// goes to the disk, or to another host.
const uploadDeadline = 5 * time.Minute

// uploaded is what calls do with the file of a form.
func (s *Server) uploaded() api.Upload[video.Received] {
	return api.Upload[video.Received]{
		MaxBytes: s.deps.Uploads.MaxBytes,
		Receive: func(c *api.Call, name string, r io.Reader) (video.Received, error) {
			file, err := s.deps.Uploads.Receive(c.Context(), viewer(c), name, r)
			return file, s.mediaError(err)
		},
		Drop: video.Received.Drop,
	}
}

// handleUpload serves POST /video-upload.
func (s *Server) handleUpload(c *api.Call, req *protocol.VideoUploadRequest, file video.Received) (*protocol.VideoUploadReply, error) {
	v, err := s.deps.Uploads.Submit(c.Context(), viewer(c), file, video.Upload{Title: req.Title, Tags: req.Tags, Visibility: req.Visibility})
	if err != nil {
		return nil, s.mediaError(err)
	}
	return s.uploadReply(c, &v), nil
}

func (s *Server) uploadReply(c *api.Call, v *store.Video) *protocol.VideoUploadReply {
	endpoint := s.clipEndpoint(c)
	return &protocol.VideoUploadReply{
		VideoID: v.ID, State: video.StateName(v.State), Video: endpoint + s.playlistOf(c, v), Cover: endpoint + s.coverOf(c, v),
	}
}

// videoFolder is the folder of a video's files in what a client knows of it: a key,
// a Uri or a URL, signed or not.
var videoFolder = regexp.MustCompile(`(?:^|/)([0-9]{4}/[0-9a-f]{40})(?:/|$)`)

// handleReupload serves POST /video-reupload.
func (s *Server) handleReupload(c *api.Call, req *protocol.VideoReuploadRequest, file video.Received) (*protocol.VideoUploadReply, error) {
	id := req.VideoID
	if id == 0 {
		m := videoFolder.FindStringSubmatch(req.ObsDir)
		if m == nil {
			return nil, protocol.Errorf(protocol.CodeUnknown, "noSuchVideo")
		}
		var err error
		if id, err = s.deps.Uploads.OwnByKey(c.Context(), viewer(c), m[1]); err != nil {
			return nil, err
		}
	}
	v, err := s.deps.Uploads.Replace(c.Context(), viewer(c), file, id)
	if err != nil {
		return nil, s.mediaError(err)
	}
	return s.replaced(c, &v), nil
}

func (s *Server) replaced(c *api.Call, v *store.Video) *protocol.VideoUploadReply {
	rep := s.uploadReply(c, v)
	rep.State = video.StateName(store.VideoQueued)
	return rep
}

// handleVideoStatus serves GET /video/status.
func (s *Server) handleVideoStatus(c *api.Call, req *protocol.VideoIDRequest) (*protocol.VideoStatusReply, error) {
	st, err := s.deps.Uploads.Status(c.Context(), viewer(c), req.VideoID)
	if err != nil {
		return nil, err
	}
	return &protocol.VideoStatusReply{State: st.State, Percent: st.Percent, Reason: video.ReasonText(c.Language, st.State, st.Reason)}, nil
}

// handleOwnVideos serves GET /video/mine.
func (s *Server) handleOwnVideos(c *api.Call, req *protocol.OwnVideosRequest) (*protocol.OwnVideosReply, error) {
	list, next, err := s.deps.Uploads.Own(c.Context(), viewer(c), req.Cursor)
	if err != nil {
		return nil, err
	}
	rep := &protocol.OwnVideosReply{Endpoint: s.clipEndpoint(c), Next: next}
	for i := range list {
		o := &list[i]
		item := protocol.OwnVideoItem{
			VideoID: o.ID, Title: o.Title, State: o.Status.State, Percent: o.Percent, Reason: video.ReasonText(c.Language, o.Status.State, o.Status.Reason),
			Width: o.Width, Height: o.Height, SupportNum: o.SupportNum, CollectNum: o.CollectNum, ShareNum: o.ShareNum,
			VideoState: videoState(&video.Clip{Video: o.Video}), CreateTime: o.CreatedAt / 1000,
		}
		if o.Key != "" {
			item.URI, item.Cover = s.ownKey(c, &o.Video)+"/"+playlistName, s.ownKey(c, &o.Video)+"/"+coverName
		}
		rep.List = append(rep.List, item)
	}
	return rep, nil
}

// ownKey is keyFor for the owner: what others may not see needs a signature, too.
func (s *Server) ownKey(c *api.Call, v *store.Video) string {
	if v.State == store.VideoReady || s.deps.Signer == nil {
		return s.keyFor(c, v)
	}
	return s.deps.Signer.Sign(v.Key, c.Principal.User)
}

// cutFolder splits the path of a video's file into its folder and its name.
func cutFolder(path string) (folder, name string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	m := videoFolder.FindStringSubmatchIndex(path)
	if i < 0 || m == nil || m[2] != 0 || m[3] > i {
		return "", "", false
	}
	return path[:m[3]], path[m[3]+1:], true
}
