# The operator's image: one static program, the certificates it trusts, and licences. Nothing else: no shell, no libraries.
# `make image` builds the program and this. Any base that needs no more than a folder will do, such as a distroless static one.
ARG BASE=scratch
# hadolint ignore=DL3006 -- the default base has no tag, and who gives another one pins it
FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pai-operator" \
      org.opencontainers.image.description="Kubernetes operator for Tencent Cloud PAI instances that creates each paid machine exactly once" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY licenses /licenses
COPY pai-operator /pai-operator
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/pai-operator"]
CMD ["run"]
