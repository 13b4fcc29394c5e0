package main

import "github.com/spf13/cobra"

// profileOptions are what an operator says of an agent.
type profileOptions struct {
	display, owner string
	capabilities   []string
}

func (p *profileOptions) options(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.display, "display-name", "", "`name` for people")
	f.StringVar(&p.owner, "owner", "", "who answers for the agent")
	f.StringSliceVar(&p.capabilities, "capability", nil, "what it may do, such as kyc:read; once for each")
}

// names are those of the API's members.
func (p *profileOptions) names() []string { return []string{"display_name", "owner", "capabilities"} }

// members are the options that were given, by the API's names.
func (p *profileOptions) members(cmd *cobra.Command) map[string]any {
	all := map[string]any{}
	for _, o := range []struct {
		flag, member string
		value        any
	}{
		{"display-name", "display_name", p.display}, {"owner", "owner", p.owner},
		{"capability", "capabilities", p.capabilities},
	} {
		if cmd.Flags().Changed(o.flag) {
			all[o.member] = o.value
		}
	}
	return all
}
