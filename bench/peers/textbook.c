/* The peer "textbook pool": libfcgi's loop as every introduction shows it, one process for one
 * request at a time. */
#include <fcgi_stdio.h>

int main(void)
{
    while (FCGI_Accept() >= 0)
        printf("Content-Type: text/plain; charset=utf-8\r\n"
               "Content-Length: 12\r\n"
               "Cache-Control: public, max-age=1, stale-while-revalidate=9, stale-if-error=9\r\n"
               "Vary: Accept, Accept-Language\r\n"
               "Content-Language: en\r\n"
               "Access-Control-Allow-Origin: *\r\n"
               "ETag: \"826d57c83490ed46\"\r\n"
               "Content-Security-Policy: default-src 'none'; base-uri 'none'; "
               "form-action 'none'; frame-ancestors 'none'\r\n"
               "Referrer-Policy: no-referrer\r\n"
               "X-Content-Type-Options: nosniff\r\n"
               "\r\n"
               "Hello World\n");
    return 0;
}
