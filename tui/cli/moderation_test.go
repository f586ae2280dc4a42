package cli_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gtiv/protocol"
)

func TestModerationCommands(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	open := protocol.Report{ID: 7, Reporter: 10001, Kind: "message", Target: "m1", Reason: "rude\x1b[31m", Sender: 10002, Content: "insult", CreatedAt: at}
	done := protocol.Report{ID: 2, Reporter: 10003, Kind: "user", Target: "10002", Reason: "spam", ResolvedAt: at}
	ban := protocol.AddressBan{Address: "192.0.2.0/24", CreatedBy: "root (uid 0, pid 1)", Reason: "spam"}
	d := fakeDaemon(t, map[string]any{
		"GET /v1/reports?Limit=50&State=open":     protocol.ReportList{List: []protocol.Report{open}, Next: 7},
		"GET /v1/reports?Limit=50&State=resolved": protocol.ReportList{List: []protocol.Report{done}},
		"POST /v1/reports/resolve":                done,
		"GET /v1/bans":                            protocol.AddressBanList{List: []protocol.AddressBan{ban}},
		"POST /v1/bans":                           ban,
		"POST /v1/bans/remove":                    protocol.AddressRef{Address: ban.Address},
		"POST /v1/announcements":                  protocol.Announcement{ID: 3, Accounts: 1200},
		"GET /v1/announcements":                   protocol.AnnouncementList{List: []protocol.Announcement{{ID: 3, Text: "hello", Accounts: 1200, Sent: 1000}, {ID: 2, FinishedAt: at}}},
		"GET /v1/audit?Limit=200":                 protocol.AuditList{List: make([]protocol.AuditEntry, 200), Next: 5},
		"GET /v1/audit?Before=5&Limit=50":         protocol.AuditList{List: []protocol.AuditEntry{{ID: 1, Action: "user.ban", Actor: "root", Target: "user 1"}}},
		"GET /v1/audit?Action=user.&Limit=3":      protocol.AuditList{List: []protocol.AuditEntry{{ID: 1, Action: "user.ban"}}},
	})
	for _, c := range []struct{ args, asked, want string }{
		{"report list", "GET /v1/reports?Limit=50&State=open", "7   open   10001  message m1  rude[31m  10002: insult"},
		{"report list", "", "More: --after 7"},
		{"report list --all", "GET /v1/reports?Limit=50&State=open", "2   resolved  10003  user 10002  spam"},
		{"report resolve 2 --note n --action warned", `POST /v1/reports/resolve {"ID":2,"Note":"n","Action":"warned"}`, "Report 2 is resolved."},
		{"ban add 192.0.2.0/24 --reason spam", `POST /v1/bans {"Address":"192.0.2.0/24","Reason":"spam"}`, "192.0.2.0/24 is banned for ever."},
		{"ban list", "GET /v1/bans", "192.0.2.0/24  for ever"},
		{"ban remove 192.0.2.9/24", `POST /v1/bans/remove {"Address":"192.0.2.9/24"}`, "192.0.2.0/24 is not banned any more."},
		{"announce hello", `POST /v1/announcements {"Text":"hello"}`, "Announcement 3 is on its way to 1,200 accounts"},
		{"announce", "GET /v1/announcements", "on its way             1,000/1,200  hello"},
		{"audit --limit 250", "GET /v1/audit?Before=5&Limit=50", "user.ban  user 1"},
		{"audit --limit 3 --action user.", "GET /v1/audit?Action=user.&Limit=3", "user.ban"},
	} {
		r := d.run(t, "", strings.Fields(c.args)...)
		if r.code != 0 || !strings.Contains(r.out, c.want) || r.err != "" || c.asked != "" && d.last() != c.asked {
			t.Errorf("gtiv %s: exit code %d, asked %s\n%s%s", c.args, r.code, d.last(), r.out, r.err)
		}
		if r := d.run(t, "", strings.Fields(c.args+" --json")...); r.code != 0 || !json.Valid([]byte(r.out)) {
			t.Errorf("gtiv %s --json: exit code %d\n%s%s", c.args, r.code, r.out, r.err)
		}
	}
	if r := d.run(t, "", "ban", "add", "192.0.2.1", "--for", "2h"); r.code != 0 || !strings.Contains(d.last(), `"Until":"`) {
		t.Errorf("ban for a time: %+v, asked %s", r, d.last())
	}
	for args, code := range map[string]int{
		"audit --limit 0": 2, "ban add": 2, "ban add x --for soon": 2, "report resolve": 2, "report resolve x": 2, "report list --after 9": 1,
	} {
		if r := d.run(t, "", strings.Fields(args)...); r.code != code || r.err == "" {
			t.Errorf("gtiv %s: %+v", args, r)
		}
	}
}

// Who bans one address of IPv6 hears that it is a network.
func TestABanOfAnIPv6AddressSaysWhatItIs(t *testing.T) {
	d := fakeDaemon(t, map[string]any{"POST /v1/bans": protocol.AddressBan{Address: "2001:db8::/64"}})
	for address, want := range map[string]bool{"2001:db8::1": true, "2001:db8::/64": false} {
		r := d.run(t, "", "ban", "add", address)
		said := strings.Contains(r.out, "the whole /64") && strings.Contains(r.out, "ban 2001:db8::1/128")
		if r.code != 0 || !strings.HasPrefix(r.out, "2001:db8::/64 is banned for ever.") || said != want {
			t.Errorf("%s: exit code %d\n%s%s", address, r.code, r.out, r.err)
		}
	}
}
