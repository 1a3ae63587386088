"""Makes the one package that the app needs, since no registry can be reached from the machine."""

import os
import zipfile

INFO = "greeting-1.0.dist-info/"

os.makedirs("wheels", exist_ok=True)
with zipfile.ZipFile("wheels/greeting-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("greeting.py", 'TEXT = "hello from a wheel"\n')
    wheel.writestr(INFO + "METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    wheel.writestr(INFO + "WHEEL", "Wheel-Version: 1.0\nGenerator: make_wheel\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(INFO + "RECORD", "greeting.py,,\n" + "".join(f"{INFO}{name},,\n" for name in ("METADATA", "WHEEL", "RECORD")))
