#pragma once

/* The API's description as part of the program; documents/embed.py writes the source. */

extern const unsigned char document_openapi[], document_docs[], document_style[];
extern const unsigned long document_openapi_size, document_docs_size, document_style_size;
