# syntax=docker/dockerfile:1
# The image: one binary on a base without shell or package manager, as a user without rights, with /data as the only
# place it writes to. `scripts/prove-container` does the same by hand.

ARG RUST_VERSION=1.95
ARG DEBIAN=bookworm

# The official Socket.IO client, which the pages load from /socket.io/socket.io.js: the version that the tests use.
FROM node:22-${DEBIAN}-slim AS client
ARG SOCKET_IO_CLIENT=4.8.3
WORKDIR /client
RUN npm install --no-audit --no-fund --ignore-scripts "socket.io-client@${SOCKET_IO_CLIENT}" \
    && mkdir vendor \
    && cp node_modules/socket.io-client/dist/socket.io.js node_modules/socket.io-client/dist/socket.io.min.js \
          node_modules/socket.io-client/dist/socket.io.esm.min.js vendor/

FROM rust:${RUST_VERSION}-slim-${DEBIAN} AS build
WORKDIR /build

# The dependencies first, on empty crates of ours: this layer lasts until a manifest changes.
COPY Cargo.toml Cargo.lock ./
COPY benches/load/Cargo.toml benches/load/
COPY entity/Cargo.toml entity/
COPY migration/Cargo.toml migration/
COPY socketio/Cargo.toml socketio/
RUN mkdir -p src tests benches/load/src entity/src migration/src socketio/src \
    && touch src/lib.rs tests/all.rs entity/src/lib.rs migration/src/lib.rs socketio/src/lib.rs \
    && echo 'fn main() {}' | tee src/main.rs > benches/load/src/main.rs \
    && cargo build --release --locked

# Cargo goes by times, and the empty crates are newer than the real ones: touched, these are newer still.
COPY . .
COPY --from=client /client/vendor web/vendor
RUN find src entity/src migration/src socketio/src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked \
    && mkdir -p /image/data \
    && cp target/release/haggle /image/haggle

FROM gcr.io/distroless/cc-debian12:nonroot

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Haggle" \
      org.opencontainers.image.description="The chat server for marketplaces: one binary, every conversation bound to what is being sold" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"

COPY --from=build --chown=65532:65532 /image/data /data
COPY --from=build /image/haggle /usr/local/bin/haggle

# A folder config/ mounted at /data/config is read too.
WORKDIR /data
VOLUME /data
USER 65532:65532

ENV HAGGLE_MODE=production \
    HAGGLE_HOST=0.0.0.0 \
    HAGGLE_PORT=3000 \
    HAGGLE_DATABASE_URL=sqlite:///data/haggle.db?mode=rwc
EXPOSE 3000

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/haggle", "healthcheck"]
# SIGTERM drains; going down takes less than 10 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/haggle"]
CMD ["serve"]
