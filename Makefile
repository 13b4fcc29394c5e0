# make run    sets everything up and starts the whole system on this machine
# make test   sets everything up and runs the tests, the long ones in short form
# make check  runs the long checks that make test leaves out; CI runs both
# make help   lists the rest

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

PORT ?= 9443
DATA ?=
# A number of executions, not a time: at the end of a time, go test -fuzz now and then fails with "context deadline exceeded".
FUZZTIME ?= 20000x
# A CA bundle in the environment would replace the certificates that local clients are given.
unexport AWS_CA_BUNDLE

# The flags of the functions, for everything: commands, tests and functions then share what is compiled. The race detector
# alone needs cgo, and compiles everything once more. Programs have no DWARF, which takes a seventh of the compiler's time:
# shared/version has the same flags.
export CGO_ENABLED := 0
export GOFLAGS := $(GOFLAGS) -trimpath -tags=lambda.norpc -gcflags=all=-dwarf=false

TOOLS := -modfile=test/tools/go.mod

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

.PHONY: need-go
need-go:
	@command -v go >/dev/null || { echo "Go 1.26 or newer is missing: https://go.dev/dl (Debian, Ubuntu, Fedora: package golang; macOS: brew install go)" >&2; exit 1; }

.PHONY: setup
setup: need-go ## check prerequisites and install what the local stack needs
	@go run ./localstack/run --setup

# Built first: after Ctrl-C, go run would report a failure.
RUN := build/local/run
.PHONY: program
program: need-go
	@go build -o $(RUN) ./localstack/run

.PHONY: run
run: program ## build the functions and start everything on https://localhost:9443 (PORT=, DATA=folder to keep state)
	@exec $(RUN) --port $(PORT) $(if $(DATA),--data '$(DATA)')

AGENTS ?= 300
.PHONY: demo
demo: program ## start everything with a fleet in the middle of a rotation, for a look at the dashboard (PORT=, AGENTS=)
	@exec $(RUN) --port $(PORT) --demo $(AGENTS)

.PHONY: logs
logs: ## follow the functions' log of the running stack
	@test -f build/run/functions.log || { echo "no log yet: start the stack with make run" >&2; exit 1; }
	@tail -n 200 -F build/run/functions.log

# Built first: unlike go run, the command forwards signals, and the processes that it starts outlive it.
CLOUD := build/cloud/cloud
.PHONY: cloud
cloud: need-go
	@go build -o $(CLOUD) ./localstack/cloud

.PHONY: localstack-up
localstack-up: cloud ## start LocalStack, in Docker if there is an engine, else as processes (LOCALSTACK_ENDPOINT= takes one that is up)
	@$(CLOUD) up

.PHONY: localstack-deploy
localstack-deploy: cloud infra-setup ## deploy the CDK app to LocalStack, make the first Org CA, start the gateway on https://localhost:9543
	@$(CLOUD) deploy

.PHONY: localstack-test
localstack-test: cloud infra-setup ## run the end-to-end suite, the guide, the agents' SDK, and the KMS and store contracts against LocalStack; start and deploy it first if needed
	@$(CLOUD) test

.PHONY: localstack-logs
localstack-logs: cloud ## print the output of the functions on LocalStack
	@$(CLOUD) logs

.PHONY: localstack-down
localstack-down: cloud ## stop the gateway, LocalStack and everything that they started
	@$(CLOUD) down

.PHONY: restore-drill
restore-drill: setup ## back up, rotate the Org CA, restore, and see that the Mastio notices (shared/OPERATING.md, "Disaster recovery")
	@go test ./test/e2e -run '^TestRestoreDrill$$' -count=1 -v -timeout 5m

.PHONY: compromise-drill
compromise-drill: setup ## leak an agent's key on purpose, rotate, and see when the thief's last call is refused
	@go test ./test/e2e -run '^TestCompromiseDrill$$' -count=1 -v -timeout 5m | sed -uE '/^=== /d; s/^ +[a-z]+_test[.]go:[0-9]+: //'

# What /healthz answers as version: the tag, or the commit.
VERSION ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),dev)

# The architecture of the functions. For amd64 also set CDK_ARGS="-c architecture=x86_64".
LAMBDA_ARCH ?= arm64
.PHONY: build
build: need-go ## build every function for AWS (linux/arm64) into build/lambda
	@go run ./infra/release -functions build/lambda -arch '$(LAMBDA_ARCH)' -version '$(VERSION)'

.PHONY: cli
cli: need-go ## build the command mastio, for this machine: build/bin/mastio
	@go run ./infra/release -cli build/bin -version '$(VERSION)'

.PHONY: release
release: need-go ## write a release to build/release: zips of the functions, commands, bill of materials, checksums
	@go run ./infra/release

# One package more than there are cores, and one test more in each package, whatever GOFLAGS says: many tests wait for
# other processes. make lint includes go vet. The race detector needs cgo; the programs that such a test builds do not.
AT_ONCE := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
GO_TEST := go test -vet=off -shuffle=on -timeout 30m -p $(AT_ONCE) -parallel $(AT_ONCE)
# Packages that take longer to compile than to run are not optimised: the browser's protocol and the linter of certificates,
# and under the detector AWS's clients. All others are compiled as for the functions.
GO_PLAIN := $(GO_TEST) -gcflags='github.com/chromedp/...=-N -l' -gcflags='github.com/zmap/...=-N -l'
GO_RACE := CGO_ENABLED=1 $(GO_TEST) -race -gcflags='github.com/aws/...=-N -l' -exec 'env CGO_ENABLED=0'

# The longest tests start first: the rest is compiled while they wait.
LONGEST := ./test/e2e ./test/browser ./localstack/stack ./test/model ./test/sdk ./test/guide
# What deploys: the libraries below it take longer to compile than everything else together.
DEPLOYS := ./infra ./infra/mastio ./infra/preflight ./infra/smoke
# What links AWS's clients takes longer to compile for the detector than to run, and httpapi's thousands of requests take
# minutes under it: make test runs them without, make check with it.
SLOW_RACE := ./shared/edge/% ./shared/cmd/agent-sync ./shared/usecase/auditlog ./shared/usecase/hygiene ./shared/usecase/rotateca

# Packages of the product that start goroutines, in code or in tests: there the race detector runs on every
# change. SCALED are the packages whose tests -short makes shorter, those of the stores' contract among them.
tested = xargs -n1 dirname | sort -u | while read -r d; do ls $$d/*_test.go >/dev/null 2>&1 && echo ./$$d || true; done
CONCURRENT = $(filter-out $(SLOW_RACE),$(shell grep -rlE --include='*.go' '^[[:space:]]*go [a-zA-Z]|[.]Go\b' shared | $(tested)))
SCALED = $(shell grep -rlE --include='*_test.go' 'testing[.]Short|rapid[.]Check|storetest[.]Run' localstack shared test infra | $(tested))
# What has tests, without what $(1) names.
others = $(filter-out $(1),$(shell find functions infra localstack shared test -name '*_test.go' | $(tested)))

# A test's database lives for seconds: Java's second compiler costs twice what the whole start costs without it. The halves
# run one after the other: at once, on two cores, a database answers later than its clients wait.
.PHONY: test test-plain test-race
test: export JDK_JAVA_OPTIONS := -XX:TieredStopAtLevel=1
test: export GOGC := 200
test: setup ## run every test except those of packages that deploy, the long ones in short form; race detector where goroutines are (8 minutes on two cores)
	@$(MAKE) test-plain
	@$(MAKE) test-race

test-plain:
	$(GO_PLAIN) -short $(LONGEST) $(call others,$(LONGEST) $(CONCURRENT) $(DEPLOYS))

test-race:
	$(GO_RACE) -short $(CONCURRENT)

.PHONY: infra-test
infra-test: infra-setup ## run the tests of packages that deploy, the CDK app first (make check runs them too)
	$(GO_TEST) $(DEPLOYS)

# They read files, or start programs that are built without the detector. What stands in for AWS in the process of e2e has
# tests of its own under it, and soak and browser as its clients.
UNRACED := ./test/e2e ./test/guide ./test/house ./test/reference
# These run at full length, or with flags of their own.
OWN_LENGTH := ./test/browser ./test/model

# The race detector over what make test has run without, then what it has run in short form. The CDK's runtime has a data
# race of its own.
.PHONY: check
check: setup infra-test ## run what make test leaves out: packages that deploy, race detector over everything, the long tests at full length, fuzzing
	$(GO_RACE) ./test/browser
	$(GO_RACE) -short $(call others,$(CONCURRENT) $(DEPLOYS) $(UNRACED) $(OWN_LENGTH))
	$(GO_RACE) ./test/model -rapid.checks=3
	$(GO_TEST) ./test/e2e $(filter-out $(DEPLOYS) $(UNRACED) $(OWN_LENGTH) ./shared/edge/httpapi ./test/soak ./test/fleet,$(SCALED))
	$(GO_TEST) -tags=lambda.norpc,openapi ./shared/edge/httpapi
	go test -vet=off ./test/model -rapid.checks=200 -timeout 30m
	go test -vet=off ./shared/edge/dynamo -run '^TestExportOfManyRows$$' -count=1 -v -args -rows=100000
	$(MAKE) soak OPS=100000
	$(MAKE) fleet FLEET=300
	$(MAKE) fuzz FUZZTIME=5000x

.PHONY: screens
screens: setup ## take pictures of every page of the dashboard in Chromium, into build/screens; the README's into .github
	go test -count=1 -run TestPages ./test/browser -picture ../../.github/dashboard.png

# 1,000 operations are part of make test, 100,000 of make check; a million take an hour or so.
OPS ?= 1000000
.PHONY: soak
soak: setup ## run OPS operations of many clients at once, and check their histories
	go test ./test/soak -ops=$(OPS) -count=1 -v -timeout 4h

# Agents of the fleet that make fleet takes through a rotation of the Org CA.
FLEET ?= 10000
.PHONY: fleet
fleet: setup ## FLEET agents through one rotation of the Org CA on the local stack, at work; prints a timeline
	go test ./test/fleet -count=1 -v -timeout 25m -agents=$(FLEET)

.PHONY: clients
clients: need-go ## generate clients in Python, Go and TypeScript from the OpenAPI document, and run the guide with each
	go test -vet=off ./test/clients -count=1 -v -timeout 30m

.PHONY: fuzz
fuzz: need-go ## run every fuzz target, FUZZTIME executions each
	@grep -rlE --include='*_test.go' '^func Fuzz' functions infra localstack shared test | $(tested) | while read -r p; do \
		for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$p/*_test.go | cut -c6-); do \
			echo "$$f $$p"; go test $$p -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) </dev/null; \
		done; \
	done

# What verifies the chains under uploaded CAs next to openssl, certtool and vfychain: programs of a page each, built from
# pinned libraries.
VERIFIERS := build/verifiers
.PHONY: verifiers-setup
verifiers-setup: ## build the verifiers (Debian: openssl gnutls-bin libnss3-tools libmbedtls-dev gcc openjdk-17-jdk-headless python3-venv; cargo)
	@shared/upload/testdata/verifiers/setup $(VERIFIERS)

N ?= 400
.PHONY: verifiers
verifiers: need-go verifiers-setup ## run chains under N generated CAs through seven verifiers (N=, SEED= repeats a run)
	@go test ./shared/upload -run 'Test(Accepted|Generated)UploadsVerify$$' -v -timeout 60m -args -shapes=$(N) -flips=30 -seed=$(or $(SEED),0)

.PHONY: lint
lint: need-go ## run static checks: golangci-lint with the list in .golangci.yml
	go tool $(TOOLS) golangci-lint run

# Exit status 3 is a finding. A database that cannot be reached has another status: it is no reason to stop a release
# from a closed network, where GOVULNDB can name a mirror.
.PHONY: vuln
vuln: need-go ## look for known vulnerabilities in linked code (GOVULNDB= for a mirror of the database)
	@status=0; out="$$(go tool $(TOOLS) govulncheck ./... 2>&1)" || status=$$?; echo "$$out"; \
	if test $$status = 1 && grep -qE 'fetching vulnerabilities|no such host|connection refused' <<<"$$out"; then \
		echo "NOT CHECKED: the vulnerability database cannot be reached from here; set GOVULNDB to a mirror" >&2; exit 0; \
	fi; exit $$status

.PHONY: bench
bench: setup ## measure the numbers of test/README.md, with their floors in the same run
	go test -run '^$$' -bench . -benchmem ./shared/...
	go run ./test/bench

# Any commit, tag or branch. What is built of it stays below build/against.
REV ?= HEAD
.PHONY: bench-against
bench-against: setup ## compare the local stack of this tree with that of a git revision, in turns: rates and CPU (REV=)
	go run ./test/bench --against '$(REV)'

# The CDK's command line and its Node.js, as infra/package-lock.json pins them.
CDK := build/infra/node_modules
CDK_ARGS ?=
RUN_CDK = CDK_DISABLE_CLI_TELEMETRY=true PATH="$(CURDIR)/$(CDK)/.bin:$$PATH" cdk

$(CDK)/.package-lock.json: infra/package.json infra/package-lock.json
	@mkdir -p build/infra && cp infra/package.json infra/package-lock.json build/infra/
	@cd build/infra && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

.PHONY: infra-setup
infra-setup: need-go $(CDK)/.package-lock.json ## install the CDK's command line and Node.js packages

.PHONY: infra-golden
infra-golden: infra-setup ## write infra/permissions.md and the golden templates anew
	go test ./infra/mastio -count=1 -run 'WrittenDown|Template|Contents' -update

.PHONY: bootstrap synth diff preflight deploy smoke destroy
bootstrap: build infra-setup ## prepare an account and region for the CDK, once for each
	$(RUN_CDK) bootstrap $(CDK_ARGS)

synth: build infra-setup ## write the CloudFormation templates into cdk.out (CDK_ARGS="-c orgId=acme ...", see infra/README.md)
	$(RUN_CDK) synth --quiet $(CDK_ARGS)

diff: build infra-setup ## show what a deployment would change
	$(RUN_CDK) diff $(CDK_ARGS)

preflight: synth ## report what would make a deployment to the account of your credentials fail, and how to fix it; change nothing
	@go run ./infra/preflight

deploy: build infra-setup ## deploy to the AWS account of your credentials
	@case '$(CDK_ARGS)' in *orgId=*) ;; *) if grep -q '"orgId": "orga"' cdk.json; then \
		echo 'orgId is still the example of cdk.json, and names everything for good: CDK_ARGS="-c orgId=acme -c trustDomain=acme.example", or edit cdk.json.'; exit 2; fi;; esac
	$(RUN_CDK) deploy --all $(CDK_ARGS)
	@# A first deployment protects nothing from deletion, so that a failure takes back what it made: now it has worked.
	$(RUN_CDK) deploy MastioData $(CDK_ARGS)

smoke: need-go ## after a deployment: run the operator's guide against the deployed hosts, and ask what only an account can answer (ORG=, ROTATE_CA=1, SMOKE_ARGS=)
	@go run ./infra/smoke $(if $(ORG),-org '$(ORG)') $(if $(ROTATE_CA),-rotate-ca) $(SMOKE_ARGS)

# Without CONFIRM and ORG it removes only what can be deployed again.
destroy: build infra-setup ## remove functions, APIs and alarms, and keep the data (CONFIRM=delete-ca-keys ORG=orgId: remove the data too, keys after 30 days)
	@if test -z "$(CONFIRM)$(ORG)"; then \
		$(RUN_CDK) destroy Mastio $(CDK_ARGS); \
		echo "Tables, keys, truststore, archive, backups and secret are kept. To erase them: make destroy CONFIRM=delete-ca-keys ORG=<orgId>"; \
	elif test "$(CONFIRM)" != delete-ca-keys -o -z "$(ORG)"; then \
		echo "refused: to erase the Org CA and all data say both CONFIRM=delete-ca-keys and ORG=<orgId>; nothing was removed" >&2; exit 1; \
	else \
		$(RUN_CDK) synth --quiet -c eraseData=$(ORG) $(CDK_ARGS) && \
		$(RUN_CDK) destroy Mastio -c eraseData=$(ORG) $(CDK_ARGS) && \
		$(RUN_CDK) deploy MastioData -c eraseData=$(ORG) $(CDK_ARGS) && \
		$(RUN_CDK) destroy MastioData -c eraseData=$(ORG) $(CDK_ARGS) && \
		go run ./infra/erase --org $(ORG) --confirm delete-ca-keys; \
	fi

.PHONY: clean
clean: ## stop LocalStack, and remove everything that was built or installed
	@test ! -x $(CLOUD) || $(CLOUD) down
	rm -rf build
