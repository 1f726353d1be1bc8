<?php
// The peer "PHP-FPM".
header("Content-Type: text/plain; charset=utf-8");
header("Content-Length: 12");
header("Cache-Control: public, max-age=1, stale-while-revalidate=9, stale-if-error=9");
header("Vary: Accept, Accept-Language");
header("Content-Language: en");
header("Access-Control-Allow-Origin: *");
header('ETag: "826d57c83490ed46"');
header("Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
header("Referrer-Policy: no-referrer");
header("X-Content-Type-Options: nosniff");
echo "Hello World\n";
