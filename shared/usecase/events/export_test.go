package events

import "maps"

// Published and Addressed are the tables of what is published, and of what names the owners' agents.
var Published, Addressed = maps.Keys(published), addressed
