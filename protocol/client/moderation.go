package client

import (
	"context"
	"net/url"
	"strconv"

	"gtiv/protocol"
)

// Reports lists a page of reports, oldest first.
func (c *Client) Reports(ctx context.Context, f protocol.ReportFilter) (*protocol.ReportList, error) {
	q := url.Values{}
	if f.State != "" {
		q.Set("State", f.State)
	}
	setNumbers(q, map[string]int64{"After": f.After, "Limit": int64(f.Limit)})
	return get[protocol.ReportList](ctx, c, "/v1/reports", q)
}

// ResolveReport ends a report.
func (c *Client) ResolveReport(ctx context.Context, req protocol.ResolveReport) (*protocol.Report, error) {
	return post[protocol.Report](ctx, c, "/v1/reports/resolve", req)
}

// AddressBans lists the banned addresses, newest first.
func (c *Client) AddressBans(ctx context.Context) (*protocol.AddressBanList, error) {
	return get[protocol.AddressBanList](ctx, c, "/v1/bans", nil)
}

// BanAddress keeps an address or a network away and closes its connections.
func (c *Client) BanAddress(ctx context.Context, req protocol.BanAddress) (*protocol.AddressBan, error) {
	return post[protocol.AddressBan](ctx, c, "/v1/bans", req)
}

// UnbanAddress ends the ban of an address or a network, and answers it as it
// was listed.
func (c *Client) UnbanAddress(ctx context.Context, address string) (*protocol.AddressRef, error) {
	return post[protocol.AddressRef](ctx, c, "/v1/bans/remove", protocol.AddressRef{Address: address})
}

// Announcements lists the newest announcements and how far they are.
func (c *Client) Announcements(ctx context.Context) (*protocol.AnnouncementList, error) {
	return get[protocol.AnnouncementList](ctx, c, "/v1/announcements", nil)
}

// Announce sends a message to all accounts.
func (c *Client) Announce(ctx context.Context, text string) (*protocol.Announcement, error) {
	return post[protocol.Announcement](ctx, c, "/v1/announcements", protocol.Announce{Text: text})
}

// Audit lists a page of changes, newest first.
func (c *Client) Audit(ctx context.Context, f protocol.AuditFilter) (*protocol.AuditList, error) {
	q := url.Values{}
	if f.Action != "" {
		q.Set("Action", f.Action)
	}
	setNumbers(q, map[string]int64{"Before": f.Before, "Limit": int64(f.Limit)})
	return get[protocol.AuditList](ctx, c, "/v1/audit", q)
}

// setNumbers sets the parameters that are not 0.
func setNumbers(q url.Values, numbers map[string]int64) {
	for name, n := range numbers {
		if n != 0 {
			q.Set(name, strconv.FormatInt(n, 10))
		}
	}
}
