"""The small trained model that ships in the package, and the recipe to train it again."""
