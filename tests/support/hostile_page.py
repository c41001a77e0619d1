"""A page whose words look like markup, and whose markup would act if anybody let it."""

from html import escape

URL = "http://evil.example/page.html?q=<script>window.hacked=1</script>&end"
TITLE = "Zanzibar <img src=x onerror=window.hacked=1> </script><script>window.hacked=1</script>"
TEXT = """The zanzibar protocol sends </script><script>window.hacked=1</script> to every reader of the page. It
also writes <img src=x onerror="window.hacked=1"> and [click](javascript:window.hacked=1) where a name is expected. A
page that shows these words to a person has to show them as they are, and nothing that they say may ever be done."""


def html() -> bytes:
    """Its words, which are harmless as text, and beside them what would act."""
    return f"""<html><head><title>{escape(TITLE)}</title><script>window.hacked=1</script>
<meta http-equiv=refresh content="0;url=javascript:window.hacked=1"><base href="javascript:window.hacked=1//">
<style>@import url(http://evil.example/x.css); mark {{ display: none }}</style></head>
<body onload="window.hacked=1"><main><h1>{escape(TITLE)}</h1><p onclick="window.hacked=1">
{escape(TEXT)}</p>
<img src=http://evil.example/x.png onerror="parent.hacked=1"><a href="javascript:window.hacked=1">go</a>
<a href="/next.html">next</a><iframe src=http://evil.example/></iframe><svg onload="window.hacked=1"></svg>
<form action=http://evil.example/><input autofocus onfocus="window.hacked=1"></form></main></body></html>""".encode()
