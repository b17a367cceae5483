# Terminals in one image: docker build --tag terminals .
FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The `node` package is for developers whose Node.js is too old; here it is not.
RUN npm ci --ignore-scripts --no-fund --no-audit
COPY tsconfig.json tsconfig.build.json ./
COPY schemas schemas
COPY src src
RUN ./node_modules/.bin/tsc --project tsconfig.build.json && npm prune --omit=dev --ignore-scripts

FROM node:26-bookworm-slim
LABEL org.opencontainers.image.title="terminals" \
      org.opencontainers.image.description="A private Open Terminal for every Open WebUI user, as policies in Git declare it" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY schemas schemas
ENV NODE_ENV=production TERMINALS_DATA_DIR=/data TERMINALS_POLICIES_DIR=/policies
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.TERMINALS_PORT || 3000}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/terminals.js"]
CMD ["serve"]
