"""``python -m second_opinion``"""

from second_opinion import main

if __name__ == "__main__":
    main()
