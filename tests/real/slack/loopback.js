// Preloaded: local-slack lets Bun listen on every interface of the machine. This keeps it on 127.0.0.1.
const listen = Bun.serve;
Bun.serve = (options) => listen({ ...options, hostname: options.hostname ?? "127.0.0.1" });
