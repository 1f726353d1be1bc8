// The peer "node": its http module, one process.
const http = require("http");

const body = "Hello World\n";
const fields = {
  "Content-Type": "text/plain; charset=utf-8",
  "Content-Length": Buffer.byteLength(body),
  "Cache-Control": "public, max-age=1, stale-while-revalidate=9, stale-if-error=9",
  "Vary": "Accept, Accept-Language",
  "Content-Language": "en",
  "Access-Control-Allow-Origin": "*",
  "ETag": '"826d57c83490ed46"',
  "Content-Security-Policy":
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

http
  .createServer((request, response) => response.writeHead(200, fields).end(body))
  .listen(process.env.PORT, "127.0.0.1");
