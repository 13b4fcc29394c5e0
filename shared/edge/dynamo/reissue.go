package dynamo

import (
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/orgca"
)

func encodeReissue(f orgca.Reissue) item {
	w := writer{key(fleetRecord, single)}
	w.number("generation", f.Generation)
	w.number("from", f.From)
	w.number("fence", f.Fence)
	w.time("began", f.Began)
	w.list("waves", len(f.Waves), func(i int) types.AttributeValue { return number(int64(f.Waves[i])) })
	w.number("hold", f.Hold.Milliseconds())
	w.text("on_halt", string(f.OnHalt))
	w.number("wave", int64(f.Wave))
	w.time("wave_began", f.WaveBegan)
	w.number("bound", f.Bound)
	w.text("state", string(f.State))
	w.text("why", f.Why)
	w.list("agents", len(f.Agents), func(i int) types.AttributeValue { return text(f.Agents[i]) })
	w.number("delivered", f.Delivered)
	w.number("notified", f.Notified)
	w.number("failed", f.Failed)
	w.number("renewing", f.Renewing)
	w.number("waiting", f.Waiting)
	w.number("later", f.Later)
	w.number("moved", f.Moved)
	w.number("recent", f.Recent)
	w.number("used", f.Used)
	w.number("refused", f.Refused)
	w.number("silent", f.Silent)
	w.number("excused", f.Excused)
	w.number("awaited", f.Awaited)
	w.flag("warned", f.Warned)
	w.flag("announced", f.Announced)
	w.time("next", f.Next)
	w.flag("federated", f.Federated)
	w.time("under", f.Under)
	w.number("version", f.Version+1)
	return w.item
}

func decodeReissue(i item) (orgca.Reissue, error) {
	r := reader{item: i}
	f := orgca.Reissue{
		Generation: r.number("generation"),
		From:       r.number("from"),
		Fence:      r.number("fence"),
		Began:      r.time("began"),
		Waves: elements(&r, "waves", func(v *types.AttributeValueMemberN) int {
			n, err := strconv.Atoi(v.Value)
			if err != nil {
				r.fail("waves")
			}
			return n
		}),
		Hold:      time.Duration(r.number("hold")) * time.Millisecond,
		OnHalt:    orgca.OnHalt(r.text("on_halt")),
		Wave:      int(r.number("wave")),
		WaveBegan: r.time("wave_began"),
		Bound:     r.number("bound"),
		State:     orgca.ReissueState(r.text("state")),
		Why:       r.text("why"),
		Agents:    elements(&r, "agents", func(v *types.AttributeValueMemberS) string { return v.Value }),
		ReissueCounts: orgca.ReissueCounts{
			Delivered: r.number("delivered"),
			Notified:  r.number("notified"),
			Failed:    r.number("failed"),
			Renewing:  r.number("renewing"),
			Waiting:   r.number("waiting"),
			Later:     r.number("later"),
		},
		WaveCounts: orgca.WaveCounts{
			Moved:   r.number("moved"),
			Recent:  r.number("recent"),
			Used:    r.number("used"),
			Awaited: r.number("awaited"),
			Refused: r.number("refused"),
			Silent:  r.number("silent"),
		},
		Excused:   r.number("excused"),
		Warned:    r.flag("warned"),
		Announced: r.flag("announced"),
		Next:      r.time("next"),
		Federated: r.flag("federated"),
		Under:     r.time("under"),
		Version:   r.number("version"),
	}
	return f, r.err
}
