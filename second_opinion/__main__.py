"""``python -m second_opinion``"""

from second_opinion import main

main()
