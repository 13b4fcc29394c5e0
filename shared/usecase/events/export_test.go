package events

import "maps"

// Told and Addressed are the tables of what is published, and of what names the owners' agents.
var Told, Addressed = maps.Keys(told), addressed
