"""The pages: a thin skin over ``preferences``. The only door to Starlette and uvicorn; extra ``[server]``."""
