# The commands of the README. Everything they need is installed by `make deps`.

CARGO ?= cargo
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
PACKAGES := tesseract-ocr tesseract-ocr-deu poppler-utils openssl jq python3 python3-venv gcc libc6-dev

.PHONY: demo test deps deps-demo venv soak bench fixtures

## Makes the town of Steverau in ./demo, reads its papers and serves it.
demo: deps-demo
	$(CARGO) build --release --bin eakte
	./target/release/eakte demo --data demo --fixtures fixtures/steverau

## Formatting, lints, and every test.
test: deps venv
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) test --locked

## Installs what the tests need, by apt where it is missing.
deps:
	@./tools/install-packages $(PACKAGES)

deps-demo:
	@./tools/install-packages tesseract-ocr tesseract-ocr-deu gcc libc6-dev

## The independent PDF/A validator, locked by hashes.
venv: .venv/ready
.venv/ready: tests/pdfa/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tests/pdfa/requirements.txt
	touch $@

## 1,000 kills over a running ingest, and ten thousand simulated histories.
soak: deps
	EAKTE_KILLS=1000 EAKTE_ROUNDS=10000 $(CARGO) test --locked --test it -- --nocapture kill simulation

## The figures of docs/benchmarks.md.
bench: deps
	$(CARGO) bench --locked

## Makes the papers of Steverau again, byte for byte (fixtures/README.md).
fixtures: venv
	@./tools/install-packages fonts-liberation poppler-utils python3-venv
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r fixtures/make/requirements.txt
	.venv/bin/python fixtures/make/make.py
	.venv/bin/python fixtures/make/check.py
