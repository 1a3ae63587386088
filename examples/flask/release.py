"""The release phase: what must be true before this release serves. A failure keeps the release before in place."""

import sys

import services


def main():
    try:
        services.check()
    except services.Unusable as problem:
        sys.exit(str(problem))
    for service in services.attached():
        print(f"{service.name} {service.state()}")
    print("ready to be released")


if __name__ == "__main__":
    main()
