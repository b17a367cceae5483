# One image for both commands, `serve` (the default) and `operator`:
#   docker build --tag ghcr.io/open-webui/terminals --tag ghcr.io/open-webui/terminals-operator .
FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The `node` package is for developers whose Node.js is too old; here it is not.
RUN npm ci --ignore-scripts --no-fund --no-audit
COPY tsconfig.json tsconfig.build.json ./
COPY schemas schemas
COPY src src
RUN ./node_modules/.bin/tsc --project tsconfig.build.json \
 && npm prune --omit=dev --ignore-scripts \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete

FROM node:26-bookworm-slim
# tini reaps what an ended child leaves behind, which Node.js as process 1 does not; git and ssh take policies from a repository.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini git openssh-client ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && install --directory --owner=1000 --group=1000 /data /policies
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY schemas schemas
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="terminals" \
      org.opencontainers.image.description="A private Open Terminal for every Open WebUI user, as policies in Git declare it" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/open-webui/terminals" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="docker.io/library/node:26-bookworm-slim"
# Nothing outside of /data is written, so that the root may be read-only; several workers need a socket in /tmp.
# Node.js would let young garbage, above all what goes through in bulk, grow to twice as much.
ENV NODE_OPTIONS=--max-semi-space-size=8
ENV NODE_ENV=production HOME=/data TERMINALS_DATA_DIR=/data TERMINALS_POLICIES_DIR=/policies
VOLUME /data
EXPOSE 3000 8080 8081
# By number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 1000:1000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.TERMINALS_PORT || 3000}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "node", "/app/dist/terminals.js"]
CMD ["serve"]
