# The image that runs in production: nginx, Python with supervisord, and the responder, and of each
# only what runs. `make image` builds it. Stages: libraries, build (compiles), symbols (debug symbols), test
# (cloudbuild/test), rootfs and app (collect), packages (cloudbuild/package-changes), and the last
# one, which is what `docker build .` makes.

# A tag, not a digest: every build without cache has Debian's security updates, in the base and in
# what apt installs alike. A digest would hold only the former back:
# docker build --build-arg BASE=debian@sha256:...
ARG BASE=debian:trixie-slim

# --- libraries: a compiler, and what the responder is linked with ---------------------------------
FROM ${BASE} AS libraries
WORKDIR /src
COPY scripts/setup scripts/setup
COPY fcgi-app/libraries fcgi-app/libraries
RUN scripts/setup build && rm -rf /var/lib/apt/lists/*

# --- build: the responder ---------------------------------------------------------------------
FROM libraries AS build
COPY VERSION Makefile ./
COPY fcgi-app fcgi-app
# Behind the packages, since it changes with every commit.
ARG COMMIT=unknown
RUN make SETUP=no COMMIT="$COMMIT" build \
    && objcopy --only-keep-debug build/responder build/responder.debug \
    && objcopy --strip-all --add-gnu-debuglink=build/responder.debug build/responder build/stripped

# --- symbols: make symbols; gdb finds them beside the responder ---------------------------------
FROM scratch AS symbols
COPY --from=build /src/build/responder.debug /

# --- test: runs every suite that needs no container engine (cloudbuild/test) ---------------------
# Not from build, which changes with the code: the packages stay.
FROM libraries AS test
RUN scripts/setup run debug test pipeline && rm -rf /var/lib/apt/lists/*
# build/terraform is there in the pipeline only.
COPY VERSION build/terraform* /usr/local/bin/
COPY . .
# Some tests ask git what it ignores.
RUN git init --quiet .
ENV SETUP=no
ARG COMMIT=unknown
ENV COMMIT=$COMMIT
RUN make test-programs
CMD ["make", "test"]

# --- rootfs: what runs of Debian's packages ----------------------------------------------------
FROM libraries AS rootfs
# Debian packages whose files handlers read: ca-certificates, tzdata, or both.
ARG WITH=
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends nginx supervisor ${WITH} >/dev/null && rm -rf /var/lib/apt/lists/*
COPY scripts/rootfs /
COPY supervisor /ours
# linked.so names what the linker finds of the libraries. The responder itself, asked for them, would make
# this layer new with each commit.
RUN gcc -shared -Wl,--no-as-needed -o /linked.so $(awk '/^[a-z]/ { print "-l" $1 }' fcgi-app/libraries) \
    && /rootfs /rootfs.d /ours/start.py /linked.so ${WITH}

# --- packages: what Debian says of them, for cloudbuild/package-changes --------------------------
FROM scratch AS packages
COPY --from=rootfs /rootfs.d/var/lib/dpkg/status.d /var/lib/dpkg/status.d

# --- app: what is ours, with modes and times that do not depend on the checkout -----------------
FROM rootfs AS app
COPY nginx /app.d/app/nginx
COPY supervisor /app.d/app/supervisor
COPY --from=build /src/build/stripped /app.d/app/responder
RUN python3 -m compileall -q -b -s /app.d --invalidation-mode unchecked-hash \
        /app.d/app/supervisor \
    && rm /app.d/app/supervisor/*.py \
    && chmod -R u=rwX,go=rX /app.d && find /app.d -exec touch --date=@0 {} +
# Whatever the responder lacks in the image fails the build, by its name, instead of the start.
RUN cp -al /rootfs.d /try && cp -al /app.d/app /try && chroot /try /app/responder --version \
    && rm -r /try

# --- the image: a layer that changes with the packages, and one that changes with the code ------
FROM scratch
COPY --from=rootfs /rootfs.d /
COPY --from=app /app.d /
USER 65532:65532
EXPOSE 8080
# For docker; Cloud Run has its own probes.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/app/responder", "--probe"]
# The kernel drops a signal for process 1 that has no handler and is not blocked: a stop in the 15 ms
# that Python takes to its first line would be lost.
ENTRYPOINT ["/usr/bin/env", "--block-signal=TERM,INT,QUIT,HUP", "/usr/bin/python3", "-I", "-S", \
    "/app/supervisor/start.pyc"]
ARG VERSION=unknown
ARG COMMIT=unknown
ARG SOURCE=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="hello-fcgi" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$COMMIT" \
    org.opencontainers.image.source="$SOURCE" \
    org.opencontainers.image.created="$CREATED"
