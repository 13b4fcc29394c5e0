package warnings

// The table. Its order is the order of the alarms.
var (
	// LegacyPathLenZero: external verifiers refuse the chain.
	LegacyPathLenZero = declare("org_ca_legacy_pathlen_zero", Row{
		Title: "The Org CA has the legacy pathLen=0 shape",
		Text: "OpenSSL, Go and most other verifiers refuse the chain that auditors and partners pull. " +
			"Rotating to a Mastio-minted CA remedies it; with an overlap no agent has an outage.",
		Page:   "/proxy/pki/rotate-ca",
		Action: "Rotate the Org CA",
		Bad:    true,
		Public: true,
		Alarm: Alarm{
			ID: "legacy-org-ca",
			Todo: "The Org CA has the legacy pathLen=0 shape. Rotate it: " +
				"POST /pki/rotate-ca?mode=mint&overlap=604800.",
		},
	})
	// OrgCAExpiring: the chain ends so soon that agents' certificates are, or will be, cut short.
	OrgCAExpiring = declare("org_ca_expiring", Row{
		Title: "The Org CA ends too soon for agents' certificates",
		Text: "No agent's certificate outlives its CA, so new ones are cut short, or will be soon. Rotate " +
			"with an overlap while there is time for the fleet to move.",
		Page:   "/proxy/pki/rotate-ca",
		Action: "Rotate the Org CA",
		Bad:    true,
		Public: true,
		Alarm: Alarm{
			ID: "org-ca-expiring",
			Todo: "The Org CA's chain ends so soon that agents' certificates are cut short, or will be. " +
				"/healthz names the day. Rotate it with an overlap: " +
				"POST /pki/rotate-ca?mode=mint&overlap=604800.",
		},
	})
	// OrgCANotYetValid: a certificate of the chain is not valid yet: nothing can be issued.
	OrgCANotYetValid = declare("org_ca_not_yet_valid", Row{
		Title: "The Org CA is not valid yet",
		Text: "It was made or committed while a clock was ahead. No certificate can be issued under it " +
			"until it is valid. Rotate to a CA that is made now.",
		Page:   "/proxy/pki/rotate-ca",
		Action: "Rotate the Org CA",
		Bad:    true,
		Public: true,
		Alarm: Alarm{
			ID: "org-ca-not-yet-valid",
			Todo: "The Org CA is not valid yet: it was made while a clock was ahead, and nothing can be issued " +
				"under it. Rotate it: POST /pki/rotate-ca?mode=mint.",
		},
	})
	// OrgCAMissing: no agent can be enrolled before there is one: MASTIO_FIRST_CA=adopt waits for an upload.
	OrgCAMissing = declare("org_ca_missing", Row{
		Title: "There is no Org CA yet",
		Text: "It is made within a minute. An installation that adopts yours (MASTIO_FIRST_CA=adopt) waits " +
			"for your upload.",
		Page:   "/proxy/pki",
		Action: "See the PKI page",
		Public: true,
		Alarm: Alarm{
			ID: "org-ca-missing",
			Todo: "There is no Org CA, so no agent can be enrolled. With firstCa=adopt it waits for your " +
				"upload; otherwise the log of the function standby says why none is made.",
		},
	})
	// StandbyMissing: the next rotation has to make its CA first.
	StandbyMissing = declare("standby_ca_missing", Row{
		Title: "There is no standby CA",
		Text: "The standby function makes one within minutes. If this warning stays, the function fails: its log " +
			"says why. A rotation still works, and takes seconds longer.",
		Page:   "/proxy/pki",
		Action: "See the PKI page",
		Public: true,
		Alarm: Alarm{
			ID:   "standby-missing",
			Todo: "No next Org CA is ready. The log of the function standby says why.",
		},
	})
	// TruststoreOutOfDate: the agents' domain may refuse certificates.
	TruststoreOutOfDate = declare("truststore_out_of_date", Row{
		Title: "The agents' truststore is out of date",
		Text: "The agents' domain may refuse valid certificates. The next run of the standby function fixes this; " +
			"if the warning stays, the function's log says why.",
		Page:   "/proxy/pki",
		Action: "See the PKI page",
		Public: true,
		Alarm: Alarm{
			ID: "truststore-out-of-date",
			Todo: "The agents' domain may refuse certificates. The log of the function standby says why the " +
				"truststore is not brought up to date.",
		},
	})
	// TrustBundlesFilling: four fifths of the room for the CAs of agents' bundles are taken.
	TrustBundlesFilling = declare("trust_bundles_filling", Row{
		Title: "The edge has little room for more trust bundles",
		Text: "The edge has room for 100 CAs of agents' trust bundles, and four fifths are taken. When it is full, " +
			"an enrolment with another CA is refused. Deactivate agents that are gone, and enrol agents again if " +
			"their bundles name old CAs. A CA that no active agent names is dropped within the hour.",
		Page:   "/proxy/agents",
		Action: "See the agents",
		Public: true,
		Alarm: Alarm{
			ID: "trust-bundles-filling",
			Todo: "The edge has little room for more CAs of agents' trust bundles; an enrolment with a new CA will " +
				"soon be refused. Deactivate agents that are gone, or enrol them again with smaller bundles.",
		},
	})
	// RotationLockStuck: a rotation died, and its lease was not taken since.
	RotationLockStuck = declare("rotation_lock_stuck", Row{
		Title: "A rotation of the Org CA died",
		Text: "Its lock has expired, so the next rotation simply takes the lock. Look at which Org CA is current " +
			"before you rotate again.",
		Page:   "/proxy/pki",
		Action: "See which CA is current",
		Public: true,
		Alarm: Alarm{
			ID:   "rotation-lock-stuck",
			Todo: "A rotation died, and no other rotation took its lock since. GET /pki/rotate-ca shows it.",
		},
	})
	// PlanStale: a scheduled rotation of the Org CA was dropped, and no operator has looked since.
	PlanStale = declare("plan_stale", Row{
		Title: "A scheduled rotation of the Org CA was dropped",
		Text: "The Org CA, or what was staged, is not what the pre-flight showed, so nothing was rotated. See why, " +
			"then schedule the rotation again, rotate now, or cancel the plan: each ends this warning.",
		Page:   "/proxy/pki",
		Action: "See the plan",
		Alarm: Alarm{
			ID: "plan-stale",
			Todo: "A scheduled rotation of the Org CA was dropped, because the Org CA is not what its pre-flight showed. " +
				"GET /pki/rotate-ca says why. Schedule it again, or end the warning: POST /pki/rotate-ca?mode=cancel.",
		},
	})
	// ReissueHalted: too many new certificates failed, so no agent is moved until an operator decides.
	ReissueHalted = declare("reissue_halted", Row{
		Title: "The re-issue of agents' certificates halted",
		Text: "Too many agents of a wave failed with their new certificates, so no more agents are moved. See " +
			"which agents, and why. Then resume, or roll the Org CA back: agents that have moved go on working " +
			"meanwhile.",
		Page:   "/proxy/pki/rotation",
		Action: "See why",
		Bad:    true,
		Alarm: Alarm{
			ID: "reissue-halted",
			Todo: "Too many agents failed with their new certificates, so the re-issue halted. GET /pki/rotate-ca says which " +
				"agents and why. Resume it or roll back: POST /pki/rotate-ca/reissue.",
		},
	})
	// ReissueLate: the waves that remain do not fit before the end of the overlap.
	ReissueLate = declare("reissue_late", Row{
		Title: "The waves of a re-issue no longer fit its overlap",
		Text: "When the overlap ends, agents that have not moved lose their certificates. Skip to the next wave, or rotate " +
			"again with a longer overlap: no overlap is lengthened without you.",
		Page:   "/proxy/pki/rotation",
		Action: "See the waves",
		Bad:    true,
		Alarm: Alarm{
			ID: "reissue-late",
			Todo: "The waves that remain do not fit before the end of the overlap, when agents that have not moved are cut " +
				"off. Skip to the next wave: POST /pki/rotate-ca/reissue {\"action\":\"skip_wave\"}.",
		},
	})
	// CredentialSuspect: a key of an agent is in two hands, and no operator has ended the agent's certificates since.
	CredentialSuspect = declare("credential_suspect", Row{
		Title: "An agent's credential is suspect",
		Text: "Two parties have used a key of the agent: a dead certificate was used, or a key of another agent. The " +
			"agent's page says which. Look at its host, then rotate with the reason keyCompromise, which ends this warning. " +
			"With suspicion contain the agent gets no token until then.",
		Page:   "/proxy/overview#suspect",
		Action: "See which",
		Bad:    true,
		Alarm: Alarm{
			ID: "credential-suspect",
			Todo: "A key of an agent is in two hands. The agent's audit trail (agent.credential_suspect) has the evidence. " +
				"Rotate: POST /registry/agents/{agent_id}/rotate-cert {\"reason\":\"keyCompromise\"}.",
		},
	})
	// CertsExpiring: agents' certificates end and are not replaced.
	CertsExpiring = declare("certs_expiring", Row{
		Title: "Agents' certificates end soon",
		Text: "They are due and have not been replaced. Rotate each certificate, let the agent renew it, or have " +
			"the Mastio deliver the next one: PUT /v1/admin/agents/{agent_id}/hygiene. Deactivate agents that are not " +
			"needed any more.",
		Page:   "/proxy/agents?show=due-0",
		Action: "See which",
		Public: true,
		Alarm: Alarm{
			ID: "certs-expiring",
			Todo: "Agents' certificates end soon and have not been replaced. GET /v1/admin/agents lists them; " +
				"rotate them, or have the next ones delivered: PUT /v1/admin/agents/{agent_id}/hygiene.",
		},
	})
	// RegistryRestored: a superseded Org CA is current again, or there is none any more. A backup was restored, or the
	// registry was emptied.
	RegistryRestored = declare("registry_restored", Row{
		Title: "A superseded Org CA is current again",
		Text: "The registry was restored from a backup that is older than the last rotation. Certificates " +
			"of the newer Org CA do not count. Re-run the rotation.",
		Page:   "/proxy/pki/rotate-ca",
		Action: "Rotate the Org CA again",
		Bad:    true,
		Alarm: Alarm{
			ID: "registry-restored",
			Todo: "A restored backup made a superseded Org CA current again, or the registry was emptied. " +
				"Rotate the Org CA once more (POST /pki/rotate-ca?mode=mint), or restore the tables.",
		},
	})
	// AuditSetBack: the archive had checkpoints that the registry did not know, and no operator has looked since.
	AuditSetBack = declare("audit_set_back", Row{
		Title: "The audit trail was set back",
		Text: "The archive has checkpoints of rows that the tables do not hold: they were restored from a backup, " +
			"or changed by hand. Keep the last bundle, find out what happened, and look at registry_restored. POST " +
			"/v1/admin/audit/checkpoint by an operator ends this warning.",
		Page:   "/proxy/audit",
		Action: "See the audit trail",
		Bad:    true,
		Alarm: Alarm{
			ID: "audit-set-back",
			Todo: "The archive has checkpoints of rows that the tables do not hold. Find out who restored or " +
				"changed them; POST /v1/admin/audit/checkpoint ends this alarm once you have looked.",
		},
	})
	// AdminSecretShort: it has fewer than session.MinSecret characters.
	AdminSecretShort = declare("admin_secret_short", Row{
		Title: "The admin secret is short",
		Text: "An admin secret below 32 characters can be guessed. Store a longer one in Secrets Manager " +
			"(on one machine: MCP_PROXY_ADMIN_SECRET in proxy.env). Until then the API refuses it while " +
			"its address is locked.",
		Page:   "/proxy/overview",
		Action: "Look again",
		Gauge:  ByCheckpoint,
		Alarm: Alarm{
			ID: "admin-secret-short",
			Todo: "The admin secret has fewer than 32 characters and can be guessed. Store a longer one in " +
				"Secrets Manager.",
		},
	})
)
